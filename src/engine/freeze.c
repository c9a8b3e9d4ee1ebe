#include "engine/freeze.h"

/* Nanoseconds within the pause, measured: only their proportions count. */
#define COPY_PAGE 700
#define CLONE_PAGE 120
#define CLONE_HUGE_PAGE 3000
#define CLONE_SPACE 350000 /* stops, mappings, and what the program's first writes will cost */

static uint64_t changed_pages(const struct freeze_facts *f)
{
	uint64_t there = f->pages + f->huge_pages * FREEZE_PER_HUGE_PAGE;

	return there > f->clean ? there - f->clean : 0;
}

uint64_t freeze_copies(const struct freeze_facts *f, enum freeze how)
{
	return how == FREEZE_COPY ? changed_pages(f) : how == FREEZE_CLONE ? f->unfreezable : 0;
}

uint64_t freeze_shares(const struct freeze_facts *f)
{
	uint64_t pages = f->pages + f->huge_pages * FREEZE_PER_HUGE_PAGE;

	/* And its page tables. */
	return pages + pages / 512;
}

enum freeze choose_freeze(const struct freeze_facts *f)
{
	uint64_t all = changed_pages(f);
	bool may_clone = f->may_clone && f->unfreezable <= f->room && freeze_shares(f) <= f->spare;
	uint64_t copy = all * COPY_PAGE;
	uint64_t clone = CLONE_SPACE + f->pages * CLONE_PAGE + f->huge_pages * CLONE_HUGE_PAGE +
			 f->unfreezable * COPY_PAGE;

	if (!f->goes_on)
		return FREEZE_HOLD;
	if (all <= f->room && (!may_clone || copy <= clone))
		return FREEZE_COPY;
	return may_clone ? FREEZE_CLONE : FREEZE_HOLD;
}

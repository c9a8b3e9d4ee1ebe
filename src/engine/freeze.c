#include "engine/freeze.h"

/* Nanoseconds within the pause, measured: only their proportions count. */
#define COPY_PAGE 700
#define CLONE_PAGE 120
#define CLONE_HUGE_PAGE 3000
#define CLONE_SPACE 350000 /* stops, mappings, and what the program's first writes will cost */

/* Pages that may be copied to memory of ours. */
#define COPY_LIMIT (UINT64_C(64) << (20 - 12))

enum freeze choose_freeze(const struct freeze_facts *f)
{
	uint64_t there = f->pages + f->huge_pages * FREEZE_PER_HUGE_PAGE;
	uint64_t all = there > f->clean ? there - f->clean : 0;
	bool may_clone = f->may_clone && f->unfreezable <= COPY_LIMIT;
	uint64_t copy = all * COPY_PAGE;
	uint64_t clone = f->spaces * CLONE_SPACE + f->pages * CLONE_PAGE +
			 f->huge_pages * CLONE_HUGE_PAGE + f->unfreezable * COPY_PAGE;

	if (!f->goes_on)
		return FREEZE_HOLD;
	if (all <= COPY_LIMIT && (!may_clone || copy <= clone))
		return FREEZE_COPY;
	return may_clone ? FREEZE_CLONE : FREEZE_HOLD;
}

/* How memory is kept as it is at the checkpoint while the program goes on: a pure function. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum freeze {
	FREEZE_HOLD,  /* it is not: the tree stands still until all of it is written */
	FREEZE_COPY,  /* it is copied within the pause */
	FREEZE_CLONE, /* frozen clones have it; what they cannot freeze is copied */
};

#define FREEZE_PER_HUGE_PAGE 512

/* All of the tree, in pages. */
struct freeze_facts {
	bool goes_on;        /* the tree is to go on */
	bool may_clone;      /* and nothing forbids that its processes are cloned */
	uint64_t spaces;     /* address spaces */
	uint64_t pages;      /* private memory in small pages, or swapped */
	uint64_t huge_pages; /* and in huge ones */
	uint64_t clean;      /* of both, in small pages: nothing of them goes into the image */
	uint64_t unfreezable; /* of both, in small pages: what a clone does not have */
};

enum freeze choose_freeze(const struct freeze_facts *f);

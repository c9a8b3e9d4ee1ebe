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

/* Pages that a tree may have copied: to memory, or to a file beside the image. */
#define FREEZE_ROOM_MEMORY (UINT64_C(64) << (20 - 12))
#define FREEZE_ROOM_FILE (UINT64_C(512) << (20 - 12))

/* One address space, in pages: of a tree, many small ones are copied beside a large one's clone. */
struct freeze_facts {
	bool goes_on;        /* the tree is to go on */
	bool may_clone;      /* and nothing forbids that its processes are cloned */
	uint64_t room;       /* what may still be copied of the tree */
	uint64_t spare;      /* what there is of memory, were it to write to all that a clone shares */
	uint64_t pages;      /* private memory in small pages, or swapped */
	uint64_t huge_pages; /* and in huge ones */
	uint64_t clean;      /* of both, in small pages: nothing of them goes into the image */
	uint64_t unfreezable; /* of both, in small pages: what a clone does not have */
};

enum freeze choose_freeze(const struct freeze_facts *f);
/* What a clone of it may cost in the end, in pages. */
uint64_t freeze_shares(const struct freeze_facts *f);
/* How much of it is then copied, at most. */
uint64_t freeze_copies(const struct freeze_facts *f, enum freeze how);

/*
 * What an address space still lacks of its image while it is filled: ranges of addresses, each
 * with the place in the image's own addresses that it shows.  They differ once the
 * program has moved memory (mremap(2)).  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

struct todo_range {
	uint64_t start, end;
	uint64_t origin; /* of start, in the image */
};

struct todo {
	VEC(struct todo_range) list; /* sorted by start */
	bool moved;                  /* some origin is not where it was */
};

/* Behind all that is there.  0 or -ENOMEM, like the others. */
int todo_append(struct todo *t, uint64_t start, uint64_t end);
int todo_remove(struct todo *t, uint64_t start, uint64_t end);
/* What lacks there lacks elsewhere now; nothing else did there. */
int todo_move(struct todo *t, uint64_t from, uint64_t to, uint64_t length);
int todo_copy(struct todo *to, const struct todo *from);
void todo_free(struct todo *t);

/* The range that holds address, or NULL. */
const struct todo_range *todo_find(const struct todo *t, uint64_t address);

/*
 * The next part, from index *at on, that shows something of [origin, end) of the image.  *at goes
 * behind it; false: there is none.
 */
bool todo_showing(const struct todo *t, size_t *at, uint64_t origin, uint64_t end,
		  struct todo_range *ret);

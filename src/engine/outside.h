/* What a tree shares with processes that are not in it, and would have alone afterwards. */
#pragma once

#include "base/beside.h"
#include "base/error.h"
#include "engine/share.h"
#include "task/task.h"

/*
 * Adds an obstacle for each address space, descriptor table and directory of the tree that
 * a process outside has too, and for memory that it has mapped as well and that only
 * those who have it can find (anonymous shared memory, memfds).  The tree stands still and its
 * mappings were read.  Processes that we may not look into are not seen.
 */
struct outside_look {
	const struct tree *tree;
	const struct sharing *sharing;
	struct beside beside;
	struct error *found;
};

/* All processes of the machine are looked at while the caller goes on. */
void outside_begin(struct outside_look *l, const struct tree *tree, const struct sharing *s);
/* The obstacles are added, once. */
void outside_tell(struct outside_look *l, struct error **err);
void outside_end(struct outside_look *l);
#define cleanup_outside __attribute__((cleanup(outside_end)))

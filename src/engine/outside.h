/* What a tree shares with processes that are not in it, and would have alone afterwards. */
#pragma once

#include "base/error.h"
#include "engine/share.h"
#include "task/task.h"

/*
 * Adds an obstacle for each address space, descriptor table and directory of the tree that
 * a process outside has too, and for memory that it has mapped as well and that only
 * those who have it can find (anonymous shared memory, memfds).  The tree stands still and its
 * mappings were read.  Processes that we may not look into are not seen.
 */
void refuse_shared_outside(const struct tree *tree, const struct sharing *s, struct error **err);

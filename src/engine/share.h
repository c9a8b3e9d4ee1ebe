/* Processes that share what only threads share as a rule (clone(2), unshare(2)). */
#pragma once

#include "base/error.h"
#include "task/task.h"

enum share_sort {
	SHARE_MEMORY,
	SHARE_FILES,
	SHARE_FS,
	SHARE_SIGNALS,
	SHARE_SORTS,
};

/* Of each sort, those of the tree who have one, in the order of kcmp(2). */
struct sharing {
	VEC(struct task *) owners[SHARE_SORTS];
};

/* Fills memory_of, files_of, fs_of and signals_of of the stopped tasks: the first in the tree has it. */
int find_sharing(struct sharing *s, struct tree *tree, struct error **err);

/* With whom of the tree this process shares: *ret, NULL for nobody.  -errno: it may not be compared. */
int sharing_find(const struct sharing *s, enum share_sort sort, pid_t pid, const struct task **ret);

void sharing_free(struct sharing *s);

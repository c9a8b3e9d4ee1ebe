/* Processes that share what only threads share as a rule (clone(2), unshare(2)). */
#pragma once

#include "base/error.h"
#include "task/task.h"

/* Fills memory_of, files_of, fs_of and signals_of of the stopped tasks: the first in the tree has it. */
int find_sharing(struct tree *tree, struct error **err);

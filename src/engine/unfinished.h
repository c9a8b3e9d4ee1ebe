/*
 * The middle process (inject/twin.h) of a checkpoint that was killed right then: it has the memory of
 * a member, stands in the region of that checkpoint, and is about to end.  It must be gone, and its parent
 * must have waited for it, before anything is put where it stands: else it would go on with the
 * program's registers, in the program's memory.
 */
#pragma once

#include <stdbool.h>

#include "proc/stat.h"
#include "task/task.h"

/* child, as its stat has it, is one of this stopped parent. */
bool is_unfinished(const struct task *parent, pid_t child, const struct proc_stat *stat);

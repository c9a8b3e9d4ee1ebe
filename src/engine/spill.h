/* Files that only mappings show, and that have no name: their content is copied out through the mappings. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "task/capture.h"

/*
 * Gives every such file that was met in the task a copy of its content (f->own) and its size.  What no mapping of the
 * task shows is read through a window that a thread of it (who is in) opens for a moment.
 */
int spill_mapped_files(struct capture *c, const struct task *task, struct injection *in,
		       struct error **err);

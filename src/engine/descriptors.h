/* The descriptor tables of a stopped tree: numbers, and the open file descriptions they show. */
#pragma once

#include "base/error.h"
#include "task/capture.h"

/* Fills task->slots and c->files for a task. */
int read_descriptors(struct capture *c, struct task *task, struct error **err);

/* Which files are captured: those that are open to us at once, or those that had to be spilled first. */
enum files_part {
	FILES_AT_HAND,
	FILES_SPILLED,
};

/* Chooses the kind of each file and makes its record.  Obstacles are collected in *err. */
int capture_files(struct capture *c, enum files_part part, struct error **err);

/* Around the end of the target: see the hooks of these names. */
int files_may_end(const struct capture *c, struct error **err);
void files_ended(const struct capture *c);

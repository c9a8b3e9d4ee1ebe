/* What follows when all processes exist: everything that they are given before they run. */
#pragma once

#include "base/error.h"
#include "engine/birth.h"
#include "task/rebuild.h"

/* Files that name processes are opened now, and handed to all tasks that show them. */
int bring_late_files(struct rebuild *r, struct error **err);

/*
 * Each task, zombies apart: memory's advice and locks, states, descriptors, what kinds do within
 * them, threads.  In the end every thread stands where it was, with its own registers.
 */
int animate_tasks(struct rebuild *r, const struct birth *b, struct error **err);

/* Carrying out the plan: processes that are made by restored ones, sessions, groups, ends. */
#pragma once

#include "base/error.h"
#include "engine/birth.h"
#include "engine/plan.h"
#include "task/rebuild.h"

/*
 * The main thread of a task is in its address space's injection: another thread that was in it
 * leaves.  For calls and batches in the name of that task.
 */
int enter_task(const struct rebuilt_task *t, struct error **err);
/* One call in it: -errno of the call itself in *ret. */
int call_in_task(const struct rebuilt_task *t, long nr, const uint64_t args[6], int64_t *ret,
		 struct error **err);

/*
 * A step of the plan.  A task that was born stands still; its memory, if it has one of its own,
 * is that of its maker, or that of its executable when that is another one.
 */
int carry_out(const struct rebuild *r, const struct plan_step *step, const struct birth *b,
	      struct error **err);

/* SIGCHLD of what ended during the restore is nothing that the program shall see. */
int forget_children(const struct rebuilt_task *t, struct error **err);

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

/*
 * clone3(2) in the maker, which is told *ret; the new one is in its injection's born.  number: 0, or
 * the one that it shall have.
 */
struct clone_args;
int clone_in(const struct rebuilt_task *maker, struct clone_args *args, pid_t number,
	     pid_t *ret, struct error **err);
/* Its own address space begins with the cell and the region of its maker in it. */
int take_injection(struct rebuilt_task *t, const struct rebuilt_task *maker, struct error **err);
/* As wait(2) will tell it to the parent.  We, who trace it, are told first. */
int end_process(const struct rebuilt_task *t, int status, struct error **err);

/* SIGCHLD of what ended during the restore is nothing that the program shall see. */
int forget_children(const struct rebuilt_task *t, struct error **err);

/*
 * The plan of a restore: who is created by whom and when, so that parents, sessions and
 * process groups are those of the image.  Pure: nothing is made here.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/vec.h"
#include "task/rebuild.h"

enum plan_do {
	PLAN_BIRTH,   /* task is made: by other, or (NULL) by whoever restores */
	PLAN_SESSION, /* task calls setsid(2) */
	PLAN_GROUP,   /* task joins other's process group, or (itself) leads a new one */
	PLAN_END,     /* task, a zombie or a stand-in, ends; other, its parent, waits for a stand-in */
};

struct plan_step {
	enum plan_do what;
	struct rebuilt_task *task, *other;
	unsigned long flags; /* PLAN_BIRTH: CLONE_* that it shares, CLONE_PARENT */
};

struct plan {
	VEC(struct plan_step) steps;
};

/*
 * Births come in the order of the image.  Stand-ins are added to r->stand_ins.
 * keep_session: the root goes on in the session that it is restored in, although it led one.
 * Refuses (ENOTSUP) what no order of clone(2), setsid(2) and setpgid(2) leads to.
 */
int plan_tree(struct rebuild *r, bool keep_session, struct plan *ret, struct error **err);
void plan_free(struct plan *p);

/*
 * Capabilities of the calling thread.  They are raised only around the one
 * call that needs them:
 *
 *	cleanup_lower struct raised raised = priv_raise_cr();
 *	fd = open(...);
 *
 * There is no harm in going on when it could not be raised: the kernel will refuse.
 * Done with capget(2) and capset(2) themselves: libcap allocates, and this
 * must also work in a child of clone(2), where another thread's malloc lock
 * may be held forever.
 */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40 /* Linux 5.9 */
#endif

struct raised {
	int cap;      /* -1: nothing was changed, and nothing will be lowered */
	int result;   /* 0: it is effective; -EPERM: it is not permitted */
};

/* Makes a permitted capability effective. */
struct raised priv_raise(int cap);
/* CAP_CHECKPOINT_RESTORE or, where it is not to be had, CAP_SYS_ADMIN: the kernel takes both. */
struct raised priv_raise_cr(void);
/* Undoes exactly what priv_raise() did: what was effective before stays. errno is kept. */
void priv_lower(struct raised *raised);
#define cleanup_lower __attribute__((cleanup(priv_lower), unused))

bool priv_has_permitted(int cap);

/*
 * A program with file capabilities starts with them effective: the first thing it does is to
 * lower them.  Root's stay: who is root keeps root's way with files.
 */
int priv_lower_all(struct error **err);

/* The same for a library: what its caller had effective comes back at the end of the scope. */
struct lowered {
	uint64_t effective;
};
int priv_set_aside(struct lowered *ret, struct error **err);
void priv_take_back(struct lowered *lowered);
#define cleanup_take_back __attribute__((cleanup(priv_take_back)))

/* Gives up every capability of this thread, for good (until an execve(2) that gives some). */
int priv_drop_all(struct error **err);

/* In a child about to execve(2): cap goes on being permitted and effective in the new program. */
int priv_keep_over_exec(int cap, struct error **err);
/* The opposite: nothing is passed on by execve(2). */
int priv_drop_ambient(struct error **err);

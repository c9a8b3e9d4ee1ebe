/*
 * Processes that are made of a stopped one, which learns nothing of it.
 *
 * The thread that is in makes a *middle* process, which shares its memory, has no exit signal, and
 * is waited for by the same batch that has made it: no SIGCHLD, no zombie, nothing for the
 * program's own wait calls.  What comes of it is either
 *
 * a copy    the middle forks and ends.  The copy is frozen, shares its pages with the target, and is
 *           nobody's child in the tree: the target may go on;
 * a helper  the middle itself.  It costs nothing, but the target has to stand still until
 *           the helper has ended.
 *
 * Where memory runs out, the kernel ends a copy first (oom_score_adj), and not the program.
 *
 * Killed at any instant, the tool leaves neither.  From birth on both are traced, and stand still:
 * the copy with PTRACE_O_EXITKILL, which it has from the middle.  The middle has it as soon as it can be given
 * it; before that it would go on where it stands, behind the call in a batch of
 * BATCH_CHILD_EXITS.  The target goes on to wait for the middle, and then to its cure.
 */
#pragma once

#include "inject/inject.h"

struct twin {
	pid_t pid; /* 0: there is none */
	int mem;   /* its /proc/PID/mem */
	int pidfd;
	bool helper;
	struct injection in; /* for batches in it */
};

#define TWIN_NONE ((struct twin){.mem = -1, .pidfd = -1})

/*
 * A thread of the target is in, and the region is mapped.  -EAGAIN, -ENOMEM, -EPERM, ...: the kernel or a filter
 * does not let it, and the target is as it was.  After twin_help() nothing can be done with
 * the target before twin_end().
 */
int twin_copy(struct injection *target, struct twin *ret, struct error **err);
int twin_help(struct injection *target, struct twin *ret, struct error **err);

/* Ends it.  Of a helper: the target is where twin_help() found it. */
int twin_end(struct twin *t, struct injection *target, struct error **err);

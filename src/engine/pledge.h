/*
 * All of a program runs, or none of it: what is let go process by process would be half a program
 * if the tool was killed in between.  A process of ours, which has a pidfd of each, ends all of them unless
 * it is told that they run: that is the one moment at which they do.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

struct pledge {
	pid_t pid;  /* 0: there is none */
	int socket; /* its end without a word: everything is to end */
};

#define PLEDGE_NONE ((struct pledge){.socket = -1})

/* Our own children, or what we trace: their numbers are theirs. */
int pledge_make(struct pledge *p, const pid_t *pids, size_t count, struct error **err);

/* They run.  After a failure they are to be ended. */
int pledge_keep(struct pledge *p, struct error **err);

/* Not kept: all of them end.  Nothing where it was kept. */
void pledge_end(struct pledge *p);

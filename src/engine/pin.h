/*
 * One processor for the tool and the processes that it builds.
 *
 * They take turns: the one waits whenever another works.  On two processors each turn is an
 * interrupt of the other and its way out of idling; on one it is a switch, a fifth of that.
 * What the program may run on is restored with how it is scheduled (kind/scheduling.c).
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct pin {
	cpu_set_t own; /* where the calling thread may run */
	cpu_set_t one;
	bool known;    /* false: no thread is moved */
};

void pin_choose(struct pin *p);
/* The calling thread runs where the newborn do, or again where it may. */
void pin_hold(const struct pin *p);
void pin_release(const struct pin *p);
/* A process of our making, which passes it on to what it forks. */
void pin_newborn(const struct pin *p, pid_t pid);

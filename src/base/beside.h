/* One thing that is done by another thread while the caller goes on. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

/* Zeroed: nothing is being done. */
struct beside {
	void (*work)(void *arg);
	void *arg;
	pthread_t thread;
	bool running;
};

/*
 * Begins work(arg), with all signals blocked; where no thread can be had it is done before this
 * returns.  What it touches is its own until beside_wait(), which is harmless where nothing was begun.
 * Not before the members of a tree were asked: with its first thread a process gets a list of semaphore
 * adjustments (CLONE_SYSVSEM), by whose absence kind/sysv-undo.c tells that another has none.
 */
void beside_start(struct beside *b, void (*work)(void *arg), void *arg);
void beside_wait(struct beside *b);

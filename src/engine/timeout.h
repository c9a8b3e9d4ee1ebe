/*
 * System calls that wait for a relative time.  Interrupted, they go on by a "restart block" of the
 * kernel's, which knows the absolute end and which nobody can read or write.  So a
 * checkpoint finds out what is left of the time, and a restore makes each new thread
 * start the call anew with that: its kernel then has a restart block of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/error.h"
#include "inject/inject.h"
#include "task/rebuild.h"
#include "task/task.h"

/* include/linux/errno.h: what a system call returns that the kernel will restart. */
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

struct timed_call {
	long nr;
	uint64_t args[6];
	unsigned int timeout; /* which argument: a struct timespec, or ... */
	bool milliseconds;    /* ... a number of them */
	uint64_t rest;        /* address where the kernel writes what is left, 0: nowhere */
};

/* True for a call with a relative timeout that a restart block can hold. */
bool timed_call_of(const struct arch_regs *regs, struct timed_call *ret);

/* Before the thread is interrupted: since when it waits. */
void timeout_observe(struct thread *t);

/* It is stopped, and this is its status file: does it still stand in the wait that was seen? */
void timeout_recheck(struct thread *t, const char *status, size_t len);

/* All threads are stopped and mended: what is left of the time of those that wait. */
void timeout_measure(struct task *task);

/* What an image says of it can be. */
bool timeout_valid(const Rec__Thread *m);

/*
 * The thread, which is in, starts its call with what was left and is interrupted at once.  Its
 * own registers then continue that call.  Nothing that sleeps may run in it afterwards.
 */
int timeout_prime(const struct rebuilt_thread *th, struct injection *in, struct error **err);

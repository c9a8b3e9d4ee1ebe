/*
 * Stopping and continuing threads by ptrace(2), without their noticing.
 *
 * PTRACE_SEIZE sends no signal, and a tracer that dies lets its tracees
 * go on.  No capability is needed: whom a user may ptrace, he may stop.
 * All of it must be called by the thread that seized.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum stop_kind {
	STOP_INTERRUPT, /* PTRACE_INTERRUPT, or a new tracee */
	STOP_GROUP,     /* a group-stop: SIGSTOP and friends */
	STOP_SIGNAL,    /* about to take a signal */
	STOP_SYSCALL,   /* PTRACE_SYSCALL: on entry or on exit */
	STOP_EVENT,     /* PTRACE_EVENT_*: event says which */
	STOP_GONE,      /* it ended; it is reaped */
};

struct stop {
	enum stop_kind kind;
	int signal; /* of STOP_GROUP and STOP_SIGNAL; of STOP_GONE: the wait status */
	int event;  /* of STOP_EVENT */
};

/* options: PTRACE_O_*.  The thread goes on running. */
int trace_seize(pid_t tid, unsigned long options, struct error **err);
int trace_interrupt(pid_t tid);
/* Of a stopped thread. */
int trace_set_options(pid_t tid, unsigned long options);
/* Waits for the next stop of this thread: 0, or -errno of waitpid(2). */
int trace_wait(pid_t tid, struct stop *ret);

/* The same for a thread that runs on the caller's processor: it gets it at once. */
int trace_wait_near(pid_t tid, struct stop *ret);

/*
 * The same for a main thread.  When all of a process is killed its main thread is reported last, after
 * the others were waited for: who waited for that one alone would wait for ever.
 */
int trace_wait_leader(pid_t tid, struct stop *ret);

/* As above, for at most so many milliseconds: -ETIMEDOUT (it sleeps where nothing wakes it). */
int trace_wait_for(pid_t tid, unsigned int milliseconds, struct stop *ret);

/* At STOP_EVENT of a fork or clone: the new task, as the caller's pid namespace numbers it. */
int trace_event_pid(pid_t tid, pid_t *ret);

/* Continues: 0, or -ESRCH when it was killed meanwhile. */
int trace_continue(pid_t tid, int signal);
int trace_continue_to_syscall(pid_t tid);
/* Lets go of it; signal is delivered first (0: none). */
int trace_detach(pid_t tid, int signal);

/* The signal mask, as the kernel's 64 bits. */
int trace_get_sigmask(pid_t tid, uint64_t *ret);
int trace_set_sigmask(pid_t tid, uint64_t mask);

/* A word for each byte where /proc/PID/mem does not let us (proc_mem.force_override=never). */
int trace_poke(pid_t tid, int mem, uint64_t address, const void *bytes, size_t size);

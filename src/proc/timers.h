/*
 * /proc/PID/timers: the POSIX timers of a process, without their times.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

struct posix_timer {
	int id;
	int signo;
	uint64_t sigval;
	int notify;     /* SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD, with SIGEV_THREAD_ID for a tid */
	pid_t target;   /* the process, or the thread; 0: it has ended */
	int clockid;
};

struct posix_timers {
	VEC(struct posix_timer) list;
};

int timers_parse(const char *text, size_t len, struct posix_timers *ret);

void timers_free(struct posix_timers *timers);
#define cleanup_timers __attribute__((cleanup(timers_free)))

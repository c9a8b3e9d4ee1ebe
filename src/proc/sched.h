/*
 * /proc/PID/task/TID/sched: a debugging aid of the kernel, there with
 * CONFIG_SCHED_DEBUG only (always since 6.15).  Nothing may depend on it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct proc_sched {
	/* When the thread last ran, in ns of the scheduler's clock (about CLOCK_MONOTONIC). */
	uint64_t exec_start;
	uint64_t sum_exec_runtime; /* 0 when the line is missing */
};

/* Returns 0, -ENODATA when se.exec_start is not there, or -EINVAL. */
int sched_parse(const char *text, size_t len, struct proc_sched *ret);

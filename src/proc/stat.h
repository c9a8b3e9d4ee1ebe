/*
 * /proc/PID/stat and /proc/PID/task/TID/stat: one line of 52 numbers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/status.h"

struct proc_stat {
	pid_t pid;
	char comm[PROC_NAME_MAX]; /* raw, unlike in status: may hold ")", spaces, newlines */
	char state;
	pid_t ppid, pgrp, session;
	int tty_nr; /* the kernel's encoding: see stat_tty_major() */
	pid_t tpgid;
	uint32_t flags; /* PF_*: 0x00200000 is a kernel thread */
	int64_t priority, nice;
	int64_t num_threads;
	uint64_t starttime; /* clock ticks since boot */
	int exit_signal; /* what its parent is sent at its end; -1 for a thread */
	uint32_t rt_priority, policy;

	/* Zero for whoever may not ptrace the process. */
	uint64_t start_code, end_code, start_stack;
	uint64_t start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
	int exit_code; /* as of wait(2) */
};

#define PROC_STAT_IO_WORKER 0x00000010U /* PF_IO_WORKER in flags: a thread of the kernel's, for io_uring */
#define PROC_STAT_KTHREAD 0x00200000U /* PF_KTHREAD in flags */

int stat_parse(const char *text, size_t len, struct proc_stat *ret);

/* tty_nr in parts: what st_rdev of the terminal has as major and minor. */
uint32_t stat_tty_major(int tty_nr);
uint32_t stat_tty_minor(int tty_nr);

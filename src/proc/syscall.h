/*
 * /proc/PID/task/TID/syscall: where a thread is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum proc_syscall_state {
	PROC_SYSCALL_RUNNING,  /* on a CPU, or about to be: nothing else is known */
	PROC_SYSCALL_BLOCKED,  /* asleep, but in no system call: a fault, a signal stop */
	PROC_SYSCALL_IN_CALL,
};

struct proc_syscall {
	enum proc_syscall_state state;
	int64_t nr;
	uint64_t args[6];
	uint64_t sp, pc;
};

int syscall_parse(const char *text, size_t len, struct proc_syscall *ret);

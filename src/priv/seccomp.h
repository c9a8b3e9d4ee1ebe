/*
 * Seccomp filters of others: what only CAP_SYS_ADMIN in the initial user namespace may do, and
 * only who is under no filter himself.  The threads are traced by the caller, and stopped.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

/* Its filters do nothing until it is let go.  options: those that it is traced with. */
int priv_filter_suspend(pid_t tid, unsigned long options);

/* How many instructions the filter has; the first that was put on is 0.  -ENOENT: there is none. */
int priv_filter_length(pid_t tid, unsigned int index);
/* buf has room for as many as that. */
int priv_filter_read(pid_t tid, unsigned int index, struct sock_filter *buf);
/* SECCOMP_FILTER_FLAG_LOG or 0. */
int priv_filter_flags(pid_t tid, unsigned int index, uint64_t *ret);

/* A filter that permits everything, for the calling thread, for good: for probes. */
int priv_filter_nothing(void);

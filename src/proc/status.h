/*
 * /proc/PID/status and /proc/PID/task/TID/status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

#define PROC_NAME_MAX 64 /* kernel threads have long ones; everybody else ends at 15 */

typedef VEC(pid_t) proc_pids;
typedef VEC(gid_t) proc_gids;

struct proc_status {
	char name[PROC_NAME_MAX]; /* unescaped */
	char state;               /* R S D T t Z X I */
	pid_t tgid, pid, ppid, tracer_pid;
	uid_t uid[4]; /* real, effective, saved, file system */
	gid_t gid[4];
	proc_gids groups;

	/* One number for each pid namespace, outermost (the reader's own) first. */
	proc_pids ns_tgid, ns_pid, ns_pgid, ns_sid;

	mode_t umask;
	uint64_t vm_locked; /* VmLck, bytes; zero for who has no memory */
	bool has_memory;    /* a Vm line: not a kernel thread, not a zombie */
	uint32_t threads;
	uint64_t signals_queued, signals_limit; /* SigQ */
	uint64_t sig_pending, shared_pending, sig_blocked, sig_ignored, sig_caught;
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
	bool no_new_privs;
	int seccomp;              /* 0, 1 strict, 2 filter */
	uint32_t seccomp_filters; /* 0 before 5.9 */
	bool thp_enabled;         /* true where the kernel does not say */
	bool core_dumping;
	int kthread;              /* 1, 0; -1 before 6.8, which does not say */

	/* x86_Thread_features: the words as they stand, "" when none ("shstk wrss"). */
	char thread_features[64], thread_features_locked[64];
};

/* Returns 0, -EINVAL (also when Pid or State is missing) or -ENOMEM. */
int status_parse(const char *text, size_t len, struct proc_status *ret);

void status_free(struct proc_status *status);
#define cleanup_status __attribute__((cleanup(status_free)))

/* Probes of what a process may do to itself: its ids, limits, priorities, root. */
#include "priv/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/attempt.h"
#include "priv/caps.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

static int told(long result)
{
	return result < 0 ? -errno : 0;
}

/* Ids that are not ours. */
static int job_change_user(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SETUID);
	uid_t other = ids->uid == 65534 ? 1 : 65534;

	return told(syscall(SYS_setresuid, other, -1, -1));
}

int probe_change_user(void)
{
	return attempt_in_child(0, job_change_user);
}

static int job_change_group(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SETGID);
	gid_t other = ids->gid == 65534 ? 1 : 65534;
	int r = told(syscall(SYS_setresgid, other, -1, -1));

	/* In a user namespace this may be forbidden for itself. */
	return r < 0 ? r : told(syscall(SYS_setgroups, 1, &other));
}

int probe_change_group(void)
{
	return attempt_in_child(0, job_change_group);
}

static int job_secure_bits(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SETPCAP);
	int now = prctl(PR_GET_SECUREBITS);

	(void)ids;
	return now < 0 ? -errno : told(prctl(PR_SET_SECUREBITS, now));
}

int probe_secure_bits(void)
{
	return attempt_in_child(0, job_secure_bits);
}

static int job_change_root(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_CHROOT);

	(void)ids;
	return told(chroot("/"));
}

int probe_change_root(void)
{
	return attempt_in_child(0, job_change_root);
}

/* The one limit that no kernel since 2.4 heeds: down, and up again. */
static int job_raise_limits(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_RESOURCE);

	(void)ids;
	if (setrlimit(RLIMIT_RSS, &(struct rlimit){0, 0}) < 0)
		return -errno;
	return told(setrlimit(RLIMIT_RSS, &(struct rlimit){1, 1}));
}

int probe_raise_limits(void)
{
	return attempt_in_child(0, job_raise_limits);
}

/* As low as it gets, for a child that ends at once. */
static int job_lower_oom_score(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_RESOURCE);
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)ids;
	return fd < 0 ? -errno : fd_write(fd, "-1000", 5);
}

int probe_lower_oom_score(void)
{
	return attempt_in_child(0, job_lower_oom_score);
}

static int job_lower_nice(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_NICE);

	(void)ids;
	return told(setpriority(PRIO_PROCESS, 0, -20));
}

int probe_lower_nice(void)
{
	return attempt_in_child(0, job_lower_nice);
}

static int job_real_time(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_NICE);
	const struct sched_param highest = {.sched_priority = 99};

	(void)ids;
	return told(sched_setscheduler(0, SCHED_RR, &highest));
}

int probe_real_time(void)
{
	return attempt_in_child(0, job_real_time);
}

static int job_deadline(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_NICE);
	const struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = {
		.size = sizeof a,
		.policy = SCHED_DEADLINE,
		.runtime = 100000,
		.deadline = 1000000000,
		.period = 1000000000,
	};
	int r = told(syscall(SYS_sched_setattr, 0, &a, 0));

	(void)ids;
	/* EBUSY: permitted, and all such time is given away at present. */
	return r == -EBUSY ? 0 : r;
}

int probe_deadline(void)
{
	return attempt_in_child(0, job_deadline);
}

static int job_io_real_time(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_NICE);

	(void)ids;
	if (raised.result < 0)
		raised = priv_raise(CAP_SYS_ADMIN);
	return told(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
			    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 4)));
}

int probe_io_real_time(void)
{
	return attempt_in_child(0, job_io_real_time);
}

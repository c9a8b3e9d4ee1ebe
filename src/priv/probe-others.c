/* Probes of what may be done to other processes, with children of ours in their part. */
#include "priv/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/attempt.h"
#include "priv/caps.h"
#include "priv/seccomp.h"

static int open_of(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int may_look_into(pid_t pid)
{
	cleanup_close int fd = open_of(pid, "maps");

	return fd < 0 ? fd : 0;
}

/* The peer is our sibling, as a target is: Yama lets everybody trace descendants. */
static int job_trace(pid_t peer)
{
	return ptrace(PTRACE_SEIZE, peer, NULL, NULL) < 0 ? -errno : 0;
}

int probe_trace(void)
{
	return attempt_on_peer(NULL, job_trace);
}

static int job_descriptors(pid_t peer)
{
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, peer, 0), fd = -1;

	if (pidfd < 0)
		return -errno;
	for (int number = 0; fd < 0 && number < 1024; number++) {
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
		if (fd < 0 && errno != EBADF)
			return -errno;
	}
	return fd < 0 ? -EBADF : 0;
}

int probe_descriptors(void)
{
	return attempt_on_peer(NULL, job_descriptors);
}

static int become_closed(void)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

int probe_not_dumpable(void)
{
	return attempt_on_peer(become_closed, may_look_into);
}

static int become_nobody(void)
{
	cleanup_lower struct raised group = priv_raise(CAP_SETGID), user = priv_raise(CAP_SETUID);
	uid_t other = geteuid() == 65534 ? 1 : 65534;

	if (syscall(SYS_setresgid, other, other, other) < 0 ||
	    syscall(SYS_setresuid, other, other, other) < 0)
		return -errno;
	/* Its being somebody else is what is tried, and not that it was us before. */
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

/* Who cannot make a process of somebody else asks for the first one, if that is not his own. */
int probe_other_users(void)
{
	int r = attempt_on_peer(become_nobody, may_look_into);
	struct stat first;

	if (r == -EPERM && stat("/proc/1", &first) == 0 && first.st_uid != geteuid())
		r = may_look_into(1);
	return r;
}

/* Only of who stands still. */
static int job_filters_read(pid_t peer)
{
	int r, status;

	if (ptrace(PTRACE_SEIZE, peer, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, peer, NULL, NULL) < 0 || waitpid(peer, &status, __WALL) < 0)
		return -errno;
	r = priv_filter_length(peer, 0);
	return r < 0 ? r : 0;
}

int probe_filters_read(void)
{
	return attempt_on_peer(priv_filter_nothing, job_filters_read);
}

static int job_filters_suspend(pid_t peer)
{
	return ptrace(PTRACE_SEIZE, peer, NULL, (void *)PTRACE_O_SUSPEND_SECCOMP) < 0 ? -errno : 0;
}

int probe_filters_suspend(void)
{
	return attempt_on_peer(NULL, job_filters_suspend);
}

/* What a process asks for itself: numbers, its memory map, userfaultfd. */
#include "engine/audit-try.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/probe.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#define TRY(name) int name(const struct audit_scene *s, const struct audit_victim *v)
#define LAST_PID "/proc/sys/kernel/ns_last_pid"
#define OWN_PIDS (CLONE_NEWUSER | CLONE_NEWPID)

/* In namespaces of one's own any number is free. */
enum { WANTED = 300 };


static int job_has_number(const void *arg)
{
	return getpid() == *(const pid_t *)arg ? 0 : -ESRCH;
}

static int clone_as(pid_t wanted)
{
	return audit_nested(0, wanted, job_has_number, &wanted);
}

/* A number that was free a moment ago, and may be taken again, or held for some milliseconds. */
TRY(try_set_tid)
{
	int r = -EEXIST;

	(void)s;
	(void)v;
	for (int i = 0; i < 200 && r == -EEXIST; i++) {
		struct clone_args args = {0};
		pid_t freed = (pid_t)syscall(SYS_clone3, &args, sizeof args);

		if (freed == 0)
			_exit(0);
		if (freed < 0)
			return errno == ENOSYS ? RESULT_ABSENT : -errno;
		syscall(SYS_wait4, freed, NULL, 0x40000000 /* __WALL */, NULL);
		for (int again = 0; again < 20 && (r = clone_as(freed)) == -EEXIST; again++)
			usleep(500);
	}
	return r;
}

static int job_first_process(const void *arg)
{
	(void)arg;
	return clone_as(WANTED);
}

TRY(try_set_tid_own)
{
	(void)s;
	(void)v;
	return audit_nested(OWN_PIDS, 0, job_first_process, NULL);
}

static int write_last_pid(const char *number)
{
	cleanup_close int fd = open(LAST_PID, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? RESULT_ABSENT : -errno;
	return write(fd, number, strlen(number)) < 0 ? -errno : 0;
}

/* What stands there is written back: new processes go on as they would. */
TRY(try_last_pid)
{
	char number[24] = "";
	cleanup_close int fd = open(LAST_PID, O_RDONLY | O_CLOEXEC);

	(void)s;
	(void)v;
	if (fd < 0)
		return errno == ENOENT ? RESULT_ABSENT : -errno;
	if (read(fd, number, sizeof number - 1) < 0)
		return -errno;
	return write_last_pid(number);
}

static int job_last_pid_own(const void *arg)
{
	const pid_t next = WANTED + 1;
	char number[24];
	int r;

	(void)arg;
	snprintf(number, sizeof number, "%d", WANTED);
	r = write_last_pid(number);
	return r ? r : audit_nested(0, 0, job_has_number, &next);
}

TRY(try_last_pid_own)
{
	(void)s;
	(void)v;
	if (access(LAST_PID, F_OK) < 0 && errno == ENOENT)
		return RESULT_ABSENT;
	return audit_nested(OWN_PIDS, 0, job_last_pid_own, NULL);
}

static int set_mm_map(int exe)
{
	unsigned int size;

	if (prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) < 0 ||
	    size != sizeof(struct prctl_mm_map))
		return RESULT_ABSENT;
	return probe_call_set_mm_map(exe);
}

TRY(try_mm_map)
{
	(void)s;
	(void)v;
	return set_mm_map(-1);
}

/* The old executable is still mapped: EBUSY is what those hear who are permitted. */
TRY(try_mm_exe)
{
	int r = set_mm_map(s->executable);

	(void)v;
	return r == -EBUSY ? 0 : r;
}

static int try_userfaultfd(int flags)
{
	cleanup_close int fd = (int)syscall(SYS_userfaultfd, flags | O_CLOEXEC);

	if (fd < 0)
		/* EINVAL: a kernel before 5.11, where there is one kind. */
		return errno == ENOSYS || (flags && errno == EINVAL) ? RESULT_ABSENT : -errno;
	return 0;
}

TRY(try_uffd_user)
{
	(void)s;
	(void)v;
	return try_userfaultfd(UFFD_USER_MODE_ONLY);
}

TRY(try_uffd_full)
{
	(void)s;
	(void)v;
	return try_userfaultfd(0);
}

TRY(try_uffd_device)
{
	cleanup_close int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	cleanup_close int fd = -1;

	(void)s;
	(void)v;
	if (device < 0)
		return errno == ENOENT || errno == ENXIO || errno == ENODEV ? RESULT_ABSENT : -errno;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

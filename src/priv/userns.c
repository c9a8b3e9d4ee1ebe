#include "priv/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"

/* Writes what must be written by one write(2), and does not allocate: see probe.c. */
static int write_file(pid_t pid, const char *name, const char *content)
{
	char path[64];
	cleanup_close int fd = -1;

	if (pid)
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	else
		snprintf(path, sizeof path, "/proc/self/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, content, strlen(content)) < 0 ? -errno : 0;
}

int priv_enter_userns_maps(pid_t child, uid_t uid, gid_t gid, struct error **err)
{
	char map[64];
	int r;

	/*
	 * Without "deny" an ordinary user may not write gid_map: a member of a
	 * group could leave it, and so pass a "everybody but this group" mode.
	 */
	r = write_file(child, "setgroups", "deny");
	if (r < 0)
		return fail_errno(err, -r, "cannot deny setgroups in a user namespace");
	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	r = write_file(child, "uid_map", map);
	if (r < 0)
		return fail_errno(err, -r, "cannot map uid %u into a user namespace", uid);
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	r = write_file(child, "gid_map", map);
	if (r < 0)
		return fail_errno(err, -r, "cannot map gid %u into a user namespace", gid);
	return 0;
}

bool priv_userns_knows(uid_t uid, gid_t gid)
{
	return uid == geteuid() && gid == getegid();
}

int priv_mount_private_proc(struct error **err)
{
	/* Nothing of this may show on the host; what the host unmounts goes away here too. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fail_errno(err, errno, "cannot make mounts private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return fail_errno(err, errno, "cannot mount a private /proc");
	return 0;
}

__attribute__((noreturn)) static void within_main(int pidfd, int (*job)(void *arg), void *arg)
{
	/*
	 * In there others may have all capabilities, and we share our descriptors with it.  Of what is
	 * not dumpable they would need them in the namespace where the tool was executed.
	 */
	prctl(PR_SET_DUMPABLE, 0);
	if (setns(pidfd, CLONE_NEWUSER | CLONE_NEWIPC) < 0)
		_exit(errno);
	_exit(-job(arg));
}

int priv_within(int pidfd, int (*job)(void *arg), void *arg)
{
	struct clone_args args = {.flags = CLONE_FILES};
	sigset_t all, before;
	siginfo_t info;
	pid_t pid;

	if (pidfd < 0)
		return job(arg);
	/* No handler of whoever we are loaded into runs in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = priv_clone3(&args);
	if (pid == 0)
		within_main(pidfd, job, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return pid;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -ECANCELED;
}

void *priv_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void priv_unshare(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

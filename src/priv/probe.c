#include "priv/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/attempt.h"
#include "priv/calls.h"
#include "priv/caps.h"
#include "priv/userns.h"

#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77 /* Linux 6.15 */
#define PR_TIMER_CREATE_RESTORE_IDS_GET 2
#endif

/*
 * Our own number is taken: who may choose numbers hears just that (EEXIST), everybody else
 * EPERM, and no child comes of it either way.
 */
int probe_exact_pid(void)
{
	pid_t taken = getpid();
	struct clone_args args = {.set_tid = (uintptr_t)&taken, .set_tid_size = 1};
	pid_t pid = priv_clone3(&args);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		return attempt_reap(pid);
	return pid == -EEXIST ? 0 : pid;
}

#define OWN_PIDS (CLONE_NEWUSER | CLONE_NEWPID)

/* The first process of an own namespace: can it choose the number of another? */
static int job_number_in_namespace(const struct attempt_ids *ids)
{
	pid_t wanted = 300;
	struct clone_args args = {.set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
	pid_t pid;
	int r = priv_enter_userns_maps(0, ids->uid, ids->gid, NULL);

	if (r < 0)
		return r;
	pid = priv_clone3(&args);
	if (pid == 0)
		_exit(0);
	return pid < 0 ? pid : attempt_reap(pid);
}

int probe_user_namespace(void)
{
	return attempt_in_child(OWN_PIDS, job_number_in_namespace);
}

static int job_private_proc(const struct attempt_ids *ids)
{
	int r = priv_enter_userns_maps(0, ids->uid, ids->gid, NULL);

	return r < 0 ? r : priv_mount_private_proc(NULL);
}

int probe_private_proc(void)
{
	return attempt_in_child(OWN_PIDS | CLONE_NEWNS, job_private_proc);
}

/* In a child that ends at once any consistent numbers will do: nobody looks at them. */
int probe_call_set_mm_map(int exe_fd)
{
	const uint64_t page = 0x10000000;
	struct prctl_mm_map map = {
		.start_code = page,
		.end_code = page + 1,
		.start_data = page,
		.end_data = page + 1,
		.start_brk = page + 2,
		.brk = page + 2,
		.start_stack = page,
		.arg_start = page,
		.arg_end = page,
		.env_start = page,
		.env_end = page,
		.exe_fd = (uint32_t)exe_fd,
	};

	return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) < 0 ? -errno : 0;
}

static int job_set_mm_map(const struct attempt_ids *ids)
{
	(void)ids;
	return probe_call_set_mm_map(-1);
}

int probe_set_mm_map(void)
{
	return attempt_in_child(0, job_set_mm_map);
}

/* The old executable is still mapped: EBUSY is what those hear who are permitted. */
static int job_exe_link(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise_cr();
	cleanup_close int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int r;

	(void)ids;
	if (exe < 0)
		return -errno;
	r = probe_call_set_mm_map(exe);
	return r == -EBUSY ? 0 : r;
}

int probe_exe_link(void)
{
	return attempt_in_child(0, job_exe_link);
}

/* Follows the link of any of our own mappings, with O_PATH: nothing is opened. */
int probe_map_files_open(void)
{
	cleanup_lower struct raised raised = priv_raise_cr();
	DIR *list = opendir("/proc/self/map_files");
	struct dirent *entry;
	int r = -ENOENT;

	if (!list)
		return -errno;
	while (r == -ENOENT && (entry = readdir(list))) {
		cleanup_close int fd = -1;

		if (entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(list), entry->d_name, O_PATH | O_CLOEXEC);
		r = fd < 0 ? -errno : 0; /* ENOENT: another thread has just unmapped it */
	}
	closedir(list);
	return r;
}

static int job_kcmp(const struct attempt_ids *ids)
{
	pid_t self = getpid();

	(void)ids;
	return syscall(SYS_kcmp, self, self, KCMP_VM, 0, 0) < 0 ? -errno : 0;
}

int probe_kcmp(void)
{
	return attempt_in_child(0, job_kcmp);
}

static int job_timer_ids(const struct attempt_ids *ids)
{
	(void)ids;
	return prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET, 0, 0, 0) < 0
		       ? -errno
		       : 0;
}

int probe_timer_ids(void)
{
	return attempt_in_child(0, job_timer_ids);
}

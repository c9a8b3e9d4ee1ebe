/* What is tried on a process.  Every function runs in a child that is the caller already. */
#include "engine/audit-try.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define TRY(name) int name(const struct audit_scene *s, const struct audit_victim *v)
/* What a system call says when the kernel does not have it. */
#define OR_ABSENT(r) ((r) == -ENOSYS ? RESULT_ABSENT : (r))

#define PATH_ROOM 80

static const char *proc_path(char *buf, const struct audit_victim *v, const char *name)
{
	snprintf(buf, PATH_ROOM, "/proc/%d/%s", (int)v->pid, name);
	return buf;
}

static const char *fd_path(char *buf, const struct audit_victim *v, int fd)
{
	snprintf(buf, PATH_ROOM, "/proc/%d/fd/%d", (int)v->pid, fd);
	return buf;
}

static const char *map_path(char *buf, const struct audit_victim *v, uint64_t at)
{
	snprintf(buf, PATH_ROOM, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)v->pid, at,
		 at + AUDIT_PAGE);
	return buf;
}

static int open_or_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

static int try_open(const char *path, int flags)
{
	cleanup_close int fd = open_or_errno(path, flags);

	return fd < 0 ? fd : 0;
}

static int try_readdir(const char *path)
{
	char entries[4096];
	cleanup_close int fd = open_or_errno(path, O_RDONLY | O_DIRECTORY);
	long r;

	if (fd < 0)
		return fd;
	/* To the end: "." and ".." come before the check. */
	do
		r = syscall(SYS_getdents64, fd, entries, sizeof entries);
	while (r > 0);
	return r < 0 ? -errno : 0;
}

static int try_readlink(const char *path)
{
	char target[256];

	return readlink(path, target, sizeof target) < 0 ? -errno : 0;
}

/* Opened for writing, and written to: seals speak only then. */
static int try_write(const char *path)
{
	cleanup_close int fd = open_or_errno(path, O_RDWR);

	if (fd < 0)
		return fd;
	return pwrite(fd, "", 1, AUDIT_PAGE - 1) < 0 ? -errno : 0;
}

TRY(try_ptrace)
{
	(void)s;
	/* It is not stopped, and let go when this child ends. */
	return ptrace(PTRACE_SEIZE, v->pid, 0, 0) < 0 ? -errno : 0;
}

TRY(try_maps)
{
	char path[PATH_ROOM], c;
	cleanup_close int fd = open_or_errno(proc_path(path, v, "maps"), O_RDONLY);

	(void)s;
	if (fd < 0)
		return fd;
	return read(fd, &c, 1) < 0 ? -errno : 0;
}

TRY(try_map_readdir)
{
	char path[PATH_ROOM];

	return s->has_map_files ? try_readdir(proc_path(path, v, "map_files")) : RESULT_ABSENT;
}

/* Whether anything is shown before the kernel says no. */
TRY(try_map_first_entries)
{
	char path[PATH_ROOM], entries[1024];
	cleanup_close int fd = -1;

	(void)s;
	fd = open_or_errno(proc_path(path, v, "map_files"), O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	return syscall(SYS_getdents64, fd, entries, sizeof entries) > 0 ? 0 : -errno;
}

TRY(try_map_readlink)
{
	char path[PATH_ROOM];

	return s->has_map_files ? try_readlink(map_path(path, v, v->view->file_at))
				: RESULT_ABSENT;
}

static int try_map_stat_flags(const struct audit_scene *s, const struct audit_victim *v, int flags)
{
	char path[PATH_ROOM];
	struct stat st;

	if (!s->has_map_files)
		return RESULT_ABSENT;
	return fstatat(AT_FDCWD, map_path(path, v, v->view->file_at), &st, flags) < 0 ? -errno : 0;
}

TRY(try_map_lstat)
{
	return try_map_stat_flags(s, v, AT_SYMLINK_NOFOLLOW);
}

TRY(try_map_stat)
{
	return try_map_stat_flags(s, v, 0);
}

TRY(try_map_read)
{
	char path[PATH_ROOM];

	return s->has_map_files ? try_open(map_path(path, v, v->view->file_at), O_RDONLY)
				: RESULT_ABSENT;
}

TRY(try_map_write)
{
	char path[PATH_ROOM];

	return s->has_map_files ? try_write(map_path(path, v, v->view->file_at)) : RESULT_ABSENT;
}

TRY(try_map_truncate)
{
	char path[PATH_ROOM];
	cleanup_close int fd = -1;

	if (!s->has_map_files)
		return RESULT_ABSENT;
	fd = open_or_errno(map_path(path, v, v->view->file_at), O_WRONLY);
	if (fd < 0)
		return fd;
	/* What is cut off is not mapped, and comes back for the next trial. */
	return ftruncate(fd, AUDIT_FILE_SIZE - AUDIT_PAGE) < 0 || ftruncate(fd, AUDIT_FILE_SIZE) < 0
		       ? -errno
		       : 0;
}

TRY(try_map_dmabuf)
{
	char path[PATH_ROOM];

	return s->has_map_files && v->view->dmabuf_at
		       ? try_open(map_path(path, v, v->view->dmabuf_at), O_RDONLY)
		       : RESULT_ABSENT;
}

TRY(try_fd_readdir)
{
	char path[PATH_ROOM];

	(void)s;
	return try_readdir(proc_path(path, v, "fd"));
}

TRY(try_fd_readlink)
{
	char path[PATH_ROOM];

	(void)s;
	return try_readlink(fd_path(path, v, v->file));
}

TRY(try_fd_open)
{
	char path[PATH_ROOM];

	(void)s;
	return try_open(fd_path(path, v, v->file), O_RDONLY);
}

TRY(try_file_by_path)
{
	(void)s;
	return try_open(v->path, O_RDWR);
}

TRY(try_reopen_file)
{
	char path[PATH_ROOM];

	(void)s;
	return try_write(fd_path(path, v, v->file));
}

TRY(try_reopen_memfd)
{
	char path[PATH_ROOM];

	(void)s;
	return try_write(fd_path(path, v, v->view->memfd));
}

TRY(try_reopen_sealed)
{
	char path[PATH_ROOM];

	(void)s;
	return try_write(fd_path(path, v, v->view->sealed));
}

TRY(try_reopen_readonly)
{
	char path[PATH_ROOM];

	(void)s;
	return try_write(fd_path(path, v, v->view->read_only));
}

TRY(try_getfd)
{
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, v->pid, 0);
	cleanup_close int fd = -1;

	(void)s;
	if (pidfd < 0)
		return OR_ABSENT(-errno);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, v->file, 0);
	return fd < 0 ? OR_ABSENT(-errno) : 0;
}

TRY(try_vm_readv)
{
	uint64_t word = 0;
	struct iovec here = {&word, sizeof word};
	struct iovec there = {(void *)(uintptr_t)v->view->word_at, sizeof word}; // NOLINT

	(void)s;
	if (process_vm_readv(v->pid, &here, 1, &there, 1, 0) < 0)
		return OR_ABSENT(-errno);
	return word == AUDIT_WORD ? 0 : RESULT_BROKEN;
}

/* Eight bytes of a file of the victim's in /proc: 0, or what forbids it. */
static int read_proc_word(const struct audit_victim *v, const char *name, uint64_t at,
			  uint64_t *ret)
{
	char path[PATH_ROOM];
	cleanup_close int fd = open_or_errno(proc_path(path, v, name), O_RDONLY);

	if (fd < 0)
		return fd;
	return pread(fd, ret, sizeof *ret, (off_t)at) < 0 ? -errno : 0;
}

TRY(try_mem)
{
	uint64_t word = 0;
	int r = read_proc_word(v, "mem", v->view->word_at, &word);

	(void)s;
	if (r < 0)
		return r;
	return word == AUDIT_WORD ? 0 : RESULT_BROKEN;
}

TRY(try_pagemap)
{
	char path[PATH_ROOM];

	(void)s;
	return try_open(proc_path(path, v, "pagemap"), O_RDONLY);
}

TRY(try_pagemap_pfn)
{
	const uint64_t present = UINT64_C(1) << 63, frame = (UINT64_C(1) << 55) - 1;
	uint64_t entry = 0;
	int r = read_proc_word(v, "pagemap", v->view->word_at / AUDIT_PAGE * sizeof entry, &entry);

	(void)s;
	if (r < 0)
		return r;
	if (!(entry & present))
		return RESULT_BROKEN;
	return entry & frame ? 0 : RESULT_HIDDEN;
}

TRY(try_kcmp)
{
	(void)s;
	return syscall(SYS_kcmp, getpid(), v->pid, KCMP_VM, 0, 0) < 0 ? OR_ABSENT(-errno) : 0;
}

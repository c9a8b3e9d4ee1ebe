/*
 * /proc/PID/fdinfo/N: what the kernel tells of an open file beside its name.
 * The four general lines come first, then those of its kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/vec.h"
#include "proc/status.h"

enum fd_lock_type {
	FD_LOCK_POSIX,
	FD_LOCK_OFD,
	FD_LOCK_FLOCK,
	FD_LOCK_LEASE,
	FD_LOCK_DELEG, /* a delegation, held by the NFS server */
	FD_LOCK_OTHER,
};

enum fd_lease_state {
	FD_LEASE_NONE, /* not a lease */
	FD_LEASE_ACTIVE,
	FD_LEASE_BREAKING,
	FD_LEASE_BREAKER,
};

struct fd_lock {
	enum fd_lock_type type;
	enum fd_lease_state lease;
	bool mandatory;
	short access; /* F_RDLCK, F_WRLCK, F_UNLCK; of a lease being broken: what it will become */
	pid_t pid;    /* -1 for OFD locks */
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint64_t start, end; /* end: last byte, UINT64_MAX for "EOF" */
};

struct fd_epoll_watch {
	int fd;          /* the number at EPOLL_CTL_ADD; may mean another file by now */
	uint32_t events; /* EPOLL*; 0 but for the flags when a ONESHOT has fired */
	uint64_t data;
	int64_t pos;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
};

#define FD_HANDLE_MAX 128 /* MAX_HANDLE_SZ */

struct fd_inotify_watch {
	int wd;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t mask, ignored_mask;
	uint32_t handle_bytes; /* 0: the file system has no handles */
	int handle_type;
	uint8_t handle[FD_HANDLE_MAX];
};

/* io_uring: what its memory says, and what the kernel has counted for itself. */
struct fd_uring {
	uint32_t sq_mask, cq_mask;   /* entries - 1 */
	uint32_t submitted, completed; /* in all, modulo 2^32 (6.0 and later) */
	pid_t sq_thread;             /* -1: it has none */
	uint32_t files, buffers;     /* registered ones */
	bool polls, overflow;        /* there is some of it */
	bool personalities, napi;
};

/* Which lines were there. */
enum fdinfo_line {
	FDINFO_INO = 1 << 0,      /* 5.14 and later */
	FDINFO_EVENTFD = 1 << 1,
	FDINFO_EVENTFD_SEMAPHORE = 1 << 2, /* the line; 6.5 and later */
	FDINFO_SIGNALFD = 1 << 3,
	FDINFO_TIMERFD = 1 << 4,
	FDINFO_EPOLL = 1 << 5,    /* at least one watch */
	FDINFO_INOTIFY = 1 << 6,  /* at least one watch */
	FDINFO_FANOTIFY = 1 << 7,
	FDINFO_PIDFD = 1 << 8,
	FDINFO_TTY = 1 << 9,      /* a pty master */
	FDINFO_USERFAULTFD = 1 << 10,
	FDINFO_IO_URING = 1 << 11,
	FDINFO_BPF = 1 << 12,
	FDINFO_DMABUF = 1 << 13,
	FDINFO_DRM = 1 << 14,
	FDINFO_IO_URING_COUNTS = 1 << 15, /* submitted and completed */
};

struct fdinfo {
	uint32_t lines; /* enum fdinfo_line */
	int64_t pos;
	uint32_t flags; /* O_*: as F_GETFL says, and O_CLOEXEC of this descriptor */
	int mnt_id;
	uint64_t ino;
	VEC(struct fd_lock) locks; /* of this open file; POSIX locks: of this file and process */

	uint64_t eventfd_count;
	int eventfd_id;
	bool eventfd_semaphore;

	uint64_t sigmask; /* signalfd: the signals that it takes */

	int timer_clockid;
	uint64_t timer_ticks;
	uint32_t timer_settime_flags;
	struct timespec timer_value, timer_interval; /* value: remaining, also when it was absolute */

	VEC(struct fd_epoll_watch) epoll;
	VEC(struct fd_inotify_watch) inotify;

	pid_t pidfd_pid; /* -1: it has been reaped; 0: not visible from here */
	proc_pids pidfd_ns_pid;

	int tty_index;

	struct fd_uring uring;
};

/* Returns 0, -EINVAL or -ENOMEM.  Unknown lines are left out. */
int fdinfo_parse(const char *text, size_t len, struct fdinfo *ret);

void fdinfo_free(struct fdinfo *info);
#define cleanup_fdinfo __attribute__((cleanup(fdinfo_free)))

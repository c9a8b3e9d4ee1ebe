#include "proc/fdinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "proc/scan.h"

/* s_dev as the kernel holds it inside: 12 bits of major, 20 of minor. */
static void parse_sdev(struct scan *s, uint32_t *ret_major, uint32_t *ret_minor)
{
	uint32_t dev = scan_hex32(s);

	*ret_major = dev >> 20;
	*ret_minor = dev & 0xfffff;
}

static void parse_lock_type(struct scan *s, struct fd_lock *lock)
{
	static const struct {
		const char *word;
		enum fd_lock_type type;
	} types[] = {
		{"POSIX", FD_LOCK_POSIX}, {"OFDLCK", FD_LOCK_OFD},   {"FLOCK", FD_LOCK_FLOCK},
		{"LEASE", FD_LOCK_LEASE}, {"DELEG", FD_LOCK_DELEG},
	};
	struct scan word = scan_word(s);

	lock->type = FD_LOCK_OTHER;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (scan_is(&word, types[i].word))
			lock->type = types[i].type;
	if (!scan_left(&word))
		s->bad = true;
}

/* ADVISORY, MANDATORY (before 5.15), *NOINODE*, MSNFS; of a lease, how it stands. */
static void parse_lock_manner(struct scan *s, struct fd_lock *lock)
{
	struct scan word = scan_word(s);

	lock->mandatory = scan_is(&word, "MANDATORY");
	if (scan_is(&word, "ACTIVE"))
		lock->lease = FD_LEASE_ACTIVE;
	else if (scan_is(&word, "BREAKING"))
		lock->lease = FD_LEASE_BREAKING;
	else if (scan_is(&word, "BREAKER"))
		lock->lease = FD_LEASE_BREAKER;
}

static void parse_lock_access(struct scan *s, struct fd_lock *lock)
{
	struct scan word = scan_word(s);

	if (scan_is(&word, "READ"))
		lock->access = F_RDLCK;
	else if (scan_is(&word, "WRITE"))
		lock->access = F_WRLCK;
	else if (scan_is(&word, "UNLCK"))
		lock->access = F_UNLCK;
	else
		s->bad = true;
}

/* "1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF" */
static int parse_lock(struct scan *s, struct fdinfo *info)
{
	struct fd_lock *lock = vec_push(&info->locks);

	if (!lock)
		return -ENOMEM;
	scan_dec(s);
	scan_expect(s, ":");
	parse_lock_type(s, lock);
	parse_lock_manner(s, lock);
	parse_lock_access(s, lock);
	lock->pid = scan_int(s);
	scan_blanks(s);
	if (!scan_skip(s, "<none>:0")) {
		lock->dev_major = scan_hex32(s);
		scan_expect(s, ":");
		lock->dev_minor = scan_hex32(s);
		scan_expect(s, ":");
		lock->inode = scan_dec(s);
	}
	lock->start = scan_dec(s);
	scan_blanks(s);
	lock->end = scan_skip(s, "EOF") ? UINT64_MAX : scan_dec(s);
	return 0;
}

/* "tfd:        5 events:       19 data:               5  pos:0 ino:61 sdev:f" */
static int parse_epoll(struct scan *s, struct fdinfo *info)
{
	struct fd_epoll_watch *watch = vec_push(&info->epoll);

	if (!watch)
		return -ENOMEM;
	watch->fd = scan_int(s);
	scan_expect(s, " events:");
	watch->events = scan_hex32(s);
	scan_expect(s, " data:");
	watch->data = scan_hex(s);
	scan_blanks(s);
	scan_expect(s, "pos:");
	watch->pos = scan_signed(s);
	scan_expect(s, " ino:");
	watch->inode = scan_hex(s);
	scan_expect(s, " sdev:");
	parse_sdev(s, &watch->dev_major, &watch->dev_minor);
	info->lines |= FDINFO_EPOLL;
	return 0;
}

static void parse_handle(struct scan *s, struct fd_inotify_watch *watch)
{
	uint32_t bytes = scan_hex32(s);

	scan_expect(s, " fhandle-type:");
	watch->handle_type = (int)scan_number(s, 16, INT_MAX);
	scan_expect(s, " f_handle:");
	if (s->bad || bytes > sizeof watch->handle || scan_left(s) < 2 * (size_t)bytes) {
		s->bad = true;
		return;
	}
	for (uint32_t i = 0; i < bytes; i++) {
		struct scan digits = {s->at, s->at + 2, false};

		watch->handle[i] = (uint8_t)scan_hex(&digits);
		if (digits.bad || scan_left(&digits))
			s->bad = true;
		s->at += 2;
	}
	watch->handle_bytes = bytes;
}

/* "inotify wd:1 ino:1f sdev:fe00000 mask:100 ignored_mask:0 fhandle-bytes:8 ...", all hex */
static int parse_inotify(struct scan *s, struct fdinfo *info)
{
	struct fd_inotify_watch *watch = vec_push(&info->inotify);

	if (!watch)
		return -ENOMEM;
	watch->wd = (int)scan_number(s, 16, INT_MAX);
	scan_expect(s, " ino:");
	watch->inode = scan_hex(s);
	scan_expect(s, " sdev:");
	parse_sdev(s, &watch->dev_major, &watch->dev_minor);
	scan_expect(s, " mask:");
	watch->mask = scan_hex32(s);
	scan_expect(s, " ignored_mask:");
	watch->ignored_mask = scan_hex32(s);
	scan_blanks(s);
	if (scan_skip(s, "fhandle-bytes:"))
		parse_handle(s, watch);
	info->lines |= FDINFO_INOTIFY;
	return 0;
}

static int parse_ns_pids(struct scan *s, struct fdinfo *info)
{
	while (scan_blanks(s), scan_left(s) && !s->bad) {
		pid_t *slot = vec_push(&info->pidfd_ns_pid);

		if (!slot)
			return -ENOMEM;
		*slot = scan_int(s);
	}
	return 0;
}

/* "(seconds, nanoseconds)" */
static struct timespec parse_time(struct scan *s)
{
	struct timespec time = {0};

	scan_blanks(s);
	scan_expect(s, "(");
	time.tv_sec = (time_t)scan_number(s, 10, INT64_MAX);
	scan_expect(s, ",");
	time.tv_nsec = (long)scan_number(s, 10, 999999999);
	scan_expect(s, ")");
	return time;
}

/* The lines that every descriptor has. */
static bool parse_general(const struct scan *key, struct scan *s, struct fdinfo *info)
{
	if (scan_is(key, "pos")) {
		info->pos = scan_signed(s);
	} else if (scan_is(key, "flags")) {
		info->flags = scan_oct32(s);
	} else if (scan_is(key, "mnt_id")) {
		info->mnt_id = scan_int(s);
	} else if (scan_is(key, "ino")) {
		info->ino = scan_dec(s);
		info->lines |= FDINFO_INO;
	} else {
		return false;
	}
	return true;
}

static bool parse_timerfd(const struct scan *key, struct scan *s, struct fdinfo *info)
{
	if (scan_is(key, "clockid")) {
		info->timer_clockid = scan_int(s);
		info->lines |= FDINFO_TIMERFD;
	} else if (scan_is(key, "ticks")) {
		info->timer_ticks = scan_dec(s);
	} else if (scan_is(key, "settime flags")) {
		info->timer_settime_flags = scan_oct32(s);
	} else if (scan_is(key, "it_value")) {
		info->timer_value = parse_time(s);
	} else if (scan_is(key, "it_interval")) {
		info->timer_interval = parse_time(s);
	} else {
		return false;
	}
	return true;
}

/* Kinds that tell all in a line or two. */
static bool parse_simple(const struct scan *key, struct scan *s, struct fdinfo *info)
{
	if (scan_is(key, "eventfd-count")) {
		info->eventfd_count = scan_hex(s);
		info->lines |= FDINFO_EVENTFD;
	} else if (scan_is(key, "eventfd-id")) {
		info->eventfd_id = scan_int(s);
	} else if (scan_is(key, "eventfd-semaphore")) {
		info->eventfd_semaphore = scan_dec(s) != 0;
		info->lines |= FDINFO_EVENTFD_SEMAPHORE;
	} else if (scan_is(key, "sigmask")) {
		info->sigmask = scan_hex(s);
		info->lines |= FDINFO_SIGNALFD;
	} else if (scan_is(key, "Pid")) {
		info->pidfd_pid = scan_int(s);
		info->lines |= FDINFO_PIDFD;
	} else if (scan_is(key, "tty-index")) {
		info->tty_index = scan_int(s);
		info->lines |= FDINFO_TTY;
	} else {
		return false;
	}
	return true;
}

static bool parse_uring(const struct scan *key, struct scan *s, struct fdinfo *info)
{
	struct fd_uring *u = &info->uring;

	scan_blanks(s);
	if (scan_is(key, "SqMask")) {
		scan_skip(s, "0x");
		u->sq_mask = scan_hex32(s);
		info->lines |= FDINFO_IO_URING;
	} else if (scan_is(key, "CqMask")) {
		scan_skip(s, "0x");
		u->cq_mask = scan_hex32(s);
	} else if (scan_is(key, "CachedSqHead")) {
		u->submitted = scan_u32(s);
	} else if (scan_is(key, "CachedCqTail")) {
		u->completed = scan_u32(s);
		info->lines |= FDINFO_IO_URING_COUNTS;
	} else if (scan_is(key, "SqThread")) {
		u->sq_thread = scan_int(s);
	} else if (scan_is(key, "UserFiles")) {
		u->files = scan_u32(s);
	} else if (scan_is(key, "UserBufs")) {
		u->buffers = scan_u32(s);
	} else if (scan_is(key, "Personalities")) {
		u->personalities = true;
	} else if (scan_is(key, "NAPI")) {
		u->napi = !scan_is(s, "disabled");
	} else {
		return false;
	}
	return true;
}

/* Members of io_uring's lists, whose lines have no key. */
static bool parse_uring_list(struct scan *s, struct fdinfo *info)
{
	if (scan_skip(s, "  op="))
		info->uring.polls = true;
	else if (scan_skip(s, "  user_data="))
		info->uring.overflow = true;
	else
		return false;
	return true;
}

/* Kinds of which it is enough to know that they are that. */
static void parse_presence(const struct scan *key, struct fdinfo *info)
{
	static const struct {
		const char *key;
		enum fdinfo_line line;
	} marks[] = {
		{"API", FDINFO_USERFAULTFD},    {"prog_type", FDINFO_BPF},
		{"map_type", FDINFO_BPF},       {"link_type", FDINFO_BPF},
		{"btf_id", FDINFO_BPF},         {"exp_name", FDINFO_DMABUF},
		{"drm-driver", FDINFO_DRM},
	};

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (scan_is(key, marks[i].key))
			info->lines |= marks[i].line;
}

static int parse_line(struct scan *s, struct fdinfo *info)
{
	struct scan key;
	int r = 0;

	if (scan_skip(s, "fanotify "))
		info->lines |= FDINFO_FANOTIFY;
	else if (scan_skip(s, "inotify wd:"))
		r = parse_inotify(s, info);
	else if (parse_uring_list(s, info) || !scan_key(s, &key))
		r = 0; /* some have lines of other shapes */
	else if (scan_is(&key, "lock"))
		r = parse_lock(s, info);
	else if (scan_is(&key, "tfd"))
		r = parse_epoll(s, info);
	else if (scan_is(&key, "NSpid"))
		r = parse_ns_pids(s, info);
	else if (!parse_general(&key, s, info) && !parse_simple(&key, s, info) &&
		 !parse_timerfd(&key, s, info) && !parse_uring(&key, s, info))
		parse_presence(&key, info);
	if (r == 0 && s->bad)
		r = -EINVAL;
	return r;
}

int fdinfo_parse(const char *text, size_t len, struct fdinfo *ret)
{
	cleanup_fdinfo struct fdinfo info = {0};
	struct scan all = scan_of(text, len), line;

	while (scan_line(&all, &line)) {
		int r = parse_line(&line, &info);

		if (r < 0)
			return r;
	}
	*ret = info;
	info = (struct fdinfo){0};
	return 0;
}

void fdinfo_free(struct fdinfo *info)
{
	vec_free(&info->locks);
	vec_free(&info->epoll);
	vec_free(&info->inotify);
	vec_free(&info->pidfd_ns_pid);
}

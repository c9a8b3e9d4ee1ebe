/*
 * timerfd_create(2).
 *
 * A timer goes on with what remained of it.  One that was set to a time of day
 * (TFD_TIMER_ABSTIME on the real-time clock) still fires at that time.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

#define SECOND UINT64_C(1000000000)

extern const struct kind kind_timerfd;

static bool timerfd_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:[timerfd]");
}

static uint64_t nanoseconds(struct timespec ts)
{
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static struct timespec timespec(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / SECOND), (long)(ns % SECOND)};
}

/*
 * A periodic timer that has expired stands still until somebody looks; only then
 * its ticks and the time to the next are up to date.  timerfd_gettime(2) looks,
 * and no program can tell that it did.
 */
static int look_once(const struct file *f, struct fdinfo *ret)
{
	cleanup_free char *path = str_format("/proc/self/fdinfo/%d", f->own), *text = NULL;
	struct itimerspec now;
	ssize_t n;

	if (!path)
		return -ENOMEM;
	if (timerfd_gettime(f->own, &now) < 0)
		return -errno;
	n = fd_slurp(AT_FDCWD, path, &text);
	return n < 0 ? (int)n : fdinfo_parse(text, (size_t)n, ret);
}

/*
 * No time left and no tick: a timer that is not running, or one whose time has come but whose
 * interrupt has not, which a moment tells apart.  No time left and ticks: it has
 * expired between the two looks.
 */
static int look(const struct file *f, struct fdinfo *ret)
{
	for (int tries = 0; tries < 5; tries++) {
		cleanup_fdinfo struct fdinfo info = {0};
		int r;

		if (tries > 0)
			usleep(300);
		r = look_once(f, &info);
		if (r < 0)
			return r;
		fdinfo_free(ret);
		*ret = info;
		info = (struct fdinfo){0};
		if (nanoseconds(ret->timer_value) ||
		    (ret->timer_ticks && !nanoseconds(ret->timer_interval)))
			return 0;
	}
	/* It expires faster than one can look. */
	if (ret->timer_ticks)
		ret->timer_value.tv_nsec = 1;
	return 0;
}

static int timerfd_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	cleanup_fdinfo struct fdinfo info = {0};
	int r = look(f, &info);
	Rec__TimerFd *m;

	(void)c;
	if (r == 0 && !(info.lines & FDINFO_TIMERFD))
		r = -ENOTSUP;
	if (r < 0)
		return refuse(err, -r, NULL, "descriptor %d is a timer that cannot be read: %s",
			      f->fd, strerror(-r));
	m = kind_message(&kind_timerfd);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->clock = (uint32_t)info.timer_clockid;
	m->ticks = info.timer_ticks;
	m->settime_flags = info.timer_settime_flags;
	m->value = nanoseconds(info.timer_value);
	m->period = nanoseconds(info.timer_interval);
	*ret = &m->base;
	return 0;
}

static int timerfd_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__TimerFd *m = (const Rec__TimerFd *)message;

	if (m->value > INT64_MAX || m->period > INT64_MAX)
		return fail(err, EINVAL, "a timer with an impossible time");
	if (m->settime_flags & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return fail(err, EINVAL, "a timer with unknown flags");
	return 0;
}

static int timerfd_check(const struct rebuild *r, const ProtobufCMessage *message,
			 struct error **err)
{
	const Rec__TimerFd *m = (const Rec__TimerFd *)message;
	int fd = timerfd_create((int)m->clock, TFD_CLOEXEC);

	(void)r;
	if (fd < 0 && errno == EPERM)
		return refuse(err, EPERM, NULL, "a timer that wakes the machine up needs CAP_WAKE_ALARM");
	if (fd < 0)
		return refuse(err, errno, NULL, "a timer of clock %u: %s", m->clock,
			      strerror(errno));
	close(fd);
	return 0;
}

/* What its clock showed at the checkpoint, if that is a time of day; else what it shows now. */
static uint64_t origin(const Rec__TimerFd *m, uint64_t created)
{
	clockid_t clock = (clockid_t)m->clock;
	struct timespec now = {0};

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM)
		return created;
	clock_gettime(clock, &now);
	return nanoseconds(now);
}

static int set_time(int fd, const Rec__TimerFd *m, uint64_t created)
{
	struct itimerspec it = {timespec(m->period), timespec(m->value)};
	bool absolute = m->settime_flags & TFD_TIMER_ABSTIME;

	/* 0 means a timer that is not running, also for an absolute one. */
	if (absolute && m->value) {
		uint64_t from = origin(m, created);

		it.it_value = timespec(from <= INT64_MAX - m->value ? from + m->value : m->value);
	}
	return timerfd_settime(fd, (int)m->settime_flags, &it, NULL) < 0 ? -errno : 0;
}

static int timerfd_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__TimerFd *m = (const Rec__TimerFd *)f->message;
	int k;

	f->fd = timerfd_create((int)m->clock, TFD_CLOEXEC);
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make a timer of clock %u", m->clock);
	k = set_time(f->fd, m, r->inventory->created);
	if (k < 0)
		return fail_errno(err, -k, "cannot set a timer");
	if (m->ticks && ioctl(f->fd, TFD_IOC_SET_TICKS, &m->ticks) < 0)
		return fail_errno(err, errno, "cannot set the expirations of a timer");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

const struct kind kind_timerfd = {
	.name = "timerfd",
	.tag = 135,
	.schema = &rec__timer_fd__descriptor,
	.file = &(const struct file_ops){
		.claims = timerfd_claims,
		.capture = timerfd_capture,
		.validate = timerfd_validate,
		.check = timerfd_check,
		.open = timerfd_open,
	},
};

#include "proc/timers.h"

#include <errno.h>
#include <signal.h>

#include "proc/scan.h"

enum seen {
	SEEN_SIGNAL = 1 << 0,
	SEEN_NOTIFY = 1 << 1,
	SEEN_CLOCK = 1 << 2,
	SEEN_ALL = (1 << 3) - 1,
};

/* "signal/tid.1234" */
static void parse_notify(struct scan *s, struct posix_timer *timer)
{
	scan_blanks(s);
	if (scan_skip(s, "signal/"))
		timer->notify = SIGEV_SIGNAL;
	else if (scan_skip(s, "none/"))
		timer->notify = SIGEV_NONE;
	else if (scan_skip(s, "thread/"))
		timer->notify = SIGEV_THREAD;
	else
		s->bad = true;
	if (scan_skip(s, "tid."))
		timer->notify |= SIGEV_THREAD_ID;
	else
		scan_expect(s, "pid.");
	timer->target = scan_int(s);
}

/* One line of the timer begun last; says which it was, or -EINVAL. */
static int parse_line(const struct scan *key, struct scan *s, struct posix_timer *timer)
{
	int seen = 0;

	if (scan_is(key, "signal")) {
		timer->signo = scan_int(s);
		scan_expect(s, "/");
		timer->sigval = scan_hex(s);
		seen = SEEN_SIGNAL;
	} else if (scan_is(key, "notify")) {
		parse_notify(s, timer);
		seen = SEEN_NOTIFY;
	} else if (scan_is(key, "ClockID")) {
		timer->clockid = scan_int(s);
		seen = SEEN_CLOCK;
	}
	return s->bad ? -EINVAL : seen;
}

int timers_parse(const char *text, size_t len, struct posix_timers *ret)
{
	cleanup_timers struct posix_timers timers = {0};
	struct scan all = scan_of(text, len), line, key;
	struct posix_timer *timer = NULL;
	int seen = SEEN_ALL;

	while (scan_line(&all, &line)) {
		int r;

		if (!scan_key(&line, &key))
			return -EINVAL;
		if (scan_is(&key, "ID")) {
			if (seen != SEEN_ALL)
				return -EINVAL;
			timer = vec_push(&timers.list);
			if (!timer)
				return -ENOMEM;
			timer->id = scan_int(&line);
			seen = 0;
			if (line.bad)
				return -EINVAL;
			continue;
		}
		if (!timer)
			return -EINVAL;
		r = parse_line(&key, &line, timer);
		if (r < 0)
			return r;
		seen |= r;
	}
	if (seen != SEEN_ALL)
		return -EINVAL;
	*ret = timers;
	timers = (struct posix_timers){0};
	return 0;
}

void timers_free(struct posix_timers *timers)
{
	vec_free(&timers->list);
}

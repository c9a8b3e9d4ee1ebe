/* Timer descriptors: clock, time that is left, interval, flags, and expiries not yet read. */
#include <stdint.h>
#include <sys/timerfd.h>

#include "procfs.h"

#define TIMERS 6
#define HOUR 3600

static int make(clockid_t clock, int flags, struct timespec value, struct timespec interval)
{
	struct itimerspec spec = {.it_value = value, .it_interval = interval};
	int fd = timerfd_create(clock, TFD_NONBLOCK);

	CHECK(fd >= 0 && timerfd_settime(fd, flags, &spec, NULL) == 0);
	return fd;
}

static struct timespec s(time_t seconds)
{
	return (struct timespec){seconds, 0};
}

int main(void)
{
	static const char *const keys[] = {"clockid", "ticks", "settime flags"};
	const struct timespec soon = {0, 1000000};
	time_t later = time(NULL) + 5 * HOUR;
	struct itimerspec before[TIMERS], after;
	char *told[TIMERS][3];
	uint64_t ticks;
	int fds[TIMERS] = {
		make(CLOCK_MONOTONIC, 0, s(10 * HOUR), (struct timespec){5, 6}),
		make(CLOCK_BOOTTIME, 0, s(20 * HOUR), s(0)),
		make(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, s(later), s(0)),
		make(CLOCK_MONOTONIC, 0, soon, s(10 * HOUR)),
		make(CLOCK_MONOTONIC, 0, soon, s(0)),
		timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK),
	};

	test_nap(50); /* the two that are due soon expire, once */
	for (int i = 0; i < TIMERS; i++) {
		CHECK(timerfd_gettime(fds[i], &before[i]) == 0);
		for (int k = 0; k < 3; k++)
			told[i][k] = fdinfo_value(fds[i], keys[k]);
	}

	test_ready();

	for (int i = 0; i < TIMERS; i++) {
		for (int k = 0; k < 3; k++)
			CHECK(strcmp(fdinfo_value(fds[i], keys[k]), told[i][k]) == 0);
		CHECK(timerfd_gettime(fds[i], &after) == 0);
		CHECK(after.it_value.tv_sec <= before[i].it_value.tv_sec);
		CHECK(after.it_value.tv_sec >= before[i].it_value.tv_sec - HOUR);
		CHECK_EQ(after.it_interval.tv_sec, before[i].it_interval.tv_sec);
		CHECK_EQ(after.it_interval.tv_nsec, before[i].it_interval.tv_nsec);
		if (i == 3 || i == 4)
			CHECK(read(fds[i], &ticks, sizeof(ticks)) == sizeof(ticks) && ticks == 1);
		CHECK(read(fds[i], &ticks, sizeof(ticks)) == -1 && errno == EAGAIN);
	}
	CHECK_EQ(fcntl(fds[5], F_GETFD), FD_CLOEXEC);
	test_passed();
}

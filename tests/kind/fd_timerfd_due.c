/*
 * Timers whose time comes while they are looked at go on, and those that stand still do not start.
 * Of so many with so short a period some are always just due.
 */
#include <poll.h>
#include <stdint.h>
#include <sys/timerfd.h>

#include "check.h"

#define TIMERS 200
#define STOPPED 20

static uint64_t ticks_of(int fd)
{
	uint64_t ticks = 0;

	CHECK(read(fd, &ticks, sizeof ticks) == sizeof ticks || errno == EAGAIN);
	return ticks;
}

int main(void)
{
	const struct itimerspec stop = {.it_interval.tv_nsec = 1000000};
	int fds[TIMERS], stopped[STOPPED];

	for (int i = 0; i < TIMERS; i++) {
		/* From 20 us to 4 ms. */
		struct timespec period = {.tv_nsec = 20000 * (i + 1)};

		fds[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
		CHECK(fds[i] >= 0);
		CHECK(timerfd_settime(fds[i], 0, &(struct itimerspec){period, period}, NULL) == 0);
	}
	for (int i = 0; i < STOPPED; i++) {
		stopped[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
		CHECK(stopped[i] >= 0 && timerfd_settime(stopped[i], 0, &stop, NULL) == 0);
	}

	test_ready();

	/* The second read comes after a new period: it has not stopped with the first. */
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < TIMERS; i++) {
			struct pollfd p = {.fd = fds[i], .events = POLLIN};

			CHECK_EQ(poll(&p, 1, 20000), 1);
			CHECK(ticks_of(fds[i]) > 0);
		}
	for (int i = 0; i < STOPPED; i++)
		CHECK_EQ(ticks_of(stopped[i]), 0);
	test_passed();
}

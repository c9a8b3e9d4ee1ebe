/*
 * Shows: threads asleep sleep on: relative (with and without a place for the
 * rest) and absolute; none returns early, none with EINTR.
 */
#include "waiting.h"

static const struct timespec span = {.tv_sec = SLEEP_SECONDS};

static long relative(struct waiter *waiter)
{
	(void)waiter;
	return nanosleep(&span, NULL);
}

static long with_rest(struct waiter *waiter)
{
	/* Of no meaning unless the sleep ends with EINTR: the kernel writes it at any stop. */
	struct timespec rest;

	(void)waiter;
	return nanosleep(&span, &rest);
}

static long rest_in_place(struct waiter *waiter)
{
	struct timespec both = span;

	(void)waiter;
	return nanosleep(&both, &both);
}

static long relative_clock(struct waiter *waiter)
{
	(void)waiter;
	return clock_nanosleep(CLOCK_BOOTTIME, 0, &span, NULL);
}

static long absolute(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_MONOTONIC, SLEEP_SECONDS);

	(void)waiter;
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static long absolute_realtime(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, SLEEP_SECONDS);

	(void)waiter;
	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
}

int main(void)
{
	struct waiter waiters[] = {
		{.call = relative},       {.call = with_rest}, {.call = rest_in_place},
		{.call = relative_clock}, {.call = absolute},  {.call = absolute_realtime},
	};
	const int count = sizeof waiters / sizeof *waiters;

	for (int i = 0; i < count; i++)
		waiter_start(&waiters[i]);

	test_ready();

	for (int i = 0; i < count; i++)
		CHECK_TIMED_OUT(&waiters[i], 0);
	test_passed();
}

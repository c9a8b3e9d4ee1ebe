/*
 * Shows: threads in select and pselect, with and without a timeout: each waits
 * on, sees the event or its timeout, never EINTR.
 */
#include <signal.h>
#include <sys/select.h>

#include "waiting.h"

static long in_select(struct waiter *waiter, struct timeval *timeout)
{
	fd_set want;

	FD_ZERO(&want);
	FD_SET(waiter->fd, &want);
	int result = select(waiter->fd + 1, &want, NULL, NULL, timeout);

	CHECK_EQ(FD_ISSET(waiter->fd, &want) != 0, result == 1);
	return result;
}

static long select_for_ever(struct waiter *waiter)
{
	return in_select(waiter, NULL);
}

static long select_long(struct waiter *waiter)
{
	struct timeval timeout = {.tv_sec = 600};
	long result = in_select(waiter, &timeout);

	/* Linux leaves there what is left. */
	CHECK(timeout.tv_sec > 0 && timeout.tv_sec <= 600);
	return result;
}

static long select_short(struct waiter *waiter)
{
	struct timeval timeout = {.tv_sec = SLEEP_SECONDS};

	return in_select(waiter, &timeout);
}

static long in_pselect(struct waiter *waiter, const struct timespec *timeout)
{
	fd_set want;
	sigset_t own, during, now;

	FD_ZERO(&want);
	FD_SET(waiter->fd, &want);
	sigemptyset(&during);
	sigemptyset(&own);
	sigaddset(&own, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	int result = pselect(waiter->fd + 1, &want, NULL, NULL, timeout, &during);

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	CHECK(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
	CHECK_EQ(FD_ISSET(waiter->fd, &want) != 0, result == 1);
	return result;
}

static long pselect_for_ever(struct waiter *waiter)
{
	return in_pselect(waiter, NULL);
}

static long pselect_short(struct waiter *waiter)
{
	struct timespec timeout = {.tv_sec = SLEEP_SECONDS};

	return in_pselect(waiter, &timeout);
}

int main(void)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	struct waiter timed[] = {
		{.call = select_short, .fd = ends[0]},
		{.call = pselect_short, .fd = ends[0]},
	};
	struct waiter others[] = {
		{.call = select_for_ever, .fd = ends[0]},
		{.call = select_long, .fd = ends[0]},
		{.call = pselect_for_ever, .fd = ends[0]},
	};

	for (int i = 0; i < 3; i++)
		waiter_start(&others[i]);
	for (int i = 0; i < 2; i++)
		waiter_start(&timed[i]);

	test_ready();

	for (int i = 0; i < 2; i++)
		CHECK_TIMED_OUT(&timed[i], 0);
	for (int i = 0; i < 3; i++)
		CHECK(!waiter_ended(&others[i]));
	CHECK(write(ends[1], "x", 1) == 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(waiter_result(&others[i]), 1);
	test_passed();
}

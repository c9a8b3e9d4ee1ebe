/*
 * Shows: threads in poll and ppoll, with and without a timeout: each waits on,
 * sees the event or its timeout, never EINTR, and has its signal mask back.
 */
#include <poll.h>
#include <signal.h>

#include "waiting.h"

static long in_poll(struct waiter *waiter, int timeout)
{
	struct pollfd want = {.fd = waiter->fd, .events = POLLIN};
	int result = poll(&want, 1, timeout);

	CHECK_EQ(want.revents, result == 1 ? POLLIN : 0);
	return result;
}

static long poll_for_ever(struct waiter *waiter)
{
	return in_poll(waiter, -1);
}

static long poll_long(struct waiter *waiter)
{
	return in_poll(waiter, 600 * 1000);
}

static long poll_short(struct waiter *waiter)
{
	return in_poll(waiter, SLEEP_SECONDS * 1000);
}

static long poll_nothing(struct waiter *waiter)
{
	(void)waiter;
	return poll(NULL, 0, SLEEP_SECONDS * 1000);
}

/* Waits with another mask than its own, which is there again afterwards. */
static long in_ppoll(struct waiter *waiter, const struct timespec *timeout)
{
	struct pollfd want = {.fd = waiter->fd, .events = POLLIN};
	sigset_t own, during, now;

	sigemptyset(&own);
	sigaddset(&own, SIGUSR1);
	sigaddset(&own, SIGRTMIN + 3);
	sigemptyset(&during);
	sigaddset(&during, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	int result = ppoll(&want, 1, timeout, &during);

	CHECK_EQ(want.revents, result == 1 ? POLLIN : 0);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	for (int sig = 1; sig < NSIG; sig++)
		CHECK_EQ(sigismember(&now, sig), sigismember(&own, sig));
	return result;
}

static long ppoll_for_ever(struct waiter *waiter)
{
	return in_ppoll(waiter, NULL);
}

static long ppoll_short(struct waiter *waiter)
{
	struct timespec timeout = {.tv_sec = SLEEP_SECONDS};

	return in_ppoll(waiter, &timeout);
}

int main(void)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	struct waiter timed[] = {
		{.call = poll_short, .fd = ends[0]},
		{.call = ppoll_short, .fd = ends[0]},
		{.call = poll_nothing},
	};
	struct waiter others[] = {
		{.call = poll_for_ever, .fd = ends[0]},
		{.call = poll_long, .fd = ends[0]},
		{.call = ppoll_for_ever, .fd = ends[0]},
	};

	for (int i = 0; i < 3; i++)
		waiter_start(&others[i]);
	for (int i = 0; i < 3; i++)
		waiter_start(&timed[i]);

	test_ready();

	for (int i = 0; i < 3; i++)
		CHECK_TIMED_OUT(&timed[i], 0);
	for (int i = 0; i < 3; i++)
		CHECK(!waiter_ended(&others[i]));
	CHECK(write(ends[1], "x", 1) == 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(waiter_result(&others[i]), 1);
	test_passed();
}

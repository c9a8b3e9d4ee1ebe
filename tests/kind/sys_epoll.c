/*
 * Shows: threads in epoll_wait and its relatives.  Stopping a thread makes the
 * kernel end these calls with EINTR; the program must never see it.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "waiting.h"

static long check_event(struct epoll_event *event, long result)
{
	if (result == 1)
		CHECK(event->events == EPOLLIN && event->data.u64 == 0x1122334455667788);
	return result;
}

static long wait_for_ever(struct waiter *waiter)
{
	struct epoll_event event;

	return check_event(&event, epoll_wait(waiter->fd, &event, 1, -1));
}

static long wait_long(struct waiter *waiter)
{
	struct epoll_event event;

	return check_event(&event, epoll_wait(waiter->fd, &event, 1, 600 * 1000));
}

static long wait_short(struct waiter *waiter)
{
	struct epoll_event event;

	return check_event(&event, epoll_wait(waiter->fd, &event, 1, SLEEP_SECONDS * 1000));
}

static long pwait_for_ever(struct waiter *waiter)
{
	struct epoll_event event;
	sigset_t own, during, now;

	sigemptyset(&during);
	sigemptyset(&own);
	sigaddset(&own, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	long result = check_event(&event, epoll_pwait(waiter->fd, &event, 1, -1, &during));

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	CHECK(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
	return result;
}

static long pwait2_short(struct waiter *waiter)
{
	struct timespec timeout = {.tv_sec = SLEEP_SECONDS};
	struct epoll_event event;
	long result = syscall(SYS_epoll_pwait2, waiter->fd, &event, 1, &timeout, NULL, 8);

	/* Since Linux 5.11. */
	return result < 0 && errno == ENOSYS ? wait_short(waiter) : result;
}

int main(void)
{
	struct epoll_event want = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
	int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &want) == 0);
	struct waiter timed[] = {
		{.call = wait_short, .fd = epoll},
		{.call = pwait2_short, .fd = epoll},
	};
	struct waiter others[] = {
		{.call = wait_for_ever, .fd = epoll},
		{.call = wait_long, .fd = epoll},
		{.call = pwait_for_ever, .fd = epoll},
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

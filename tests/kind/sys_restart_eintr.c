/*
 * Shows: a real signal still interrupts.  A handler without SA_RESTART ends a
 * blocked call with EINTR, one with SA_RESTART lets it go on.
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "waiting.h"

static volatile int handled;

static void handler(int sig)
{
	(void)sig;
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static long in_read(struct waiter *waiter)
{
	char byte;

	return read(waiter->fd, &byte, 1);
}

static long in_epoll_wait(struct waiter *waiter)
{
	struct epoll_event event;

	return epoll_wait(waiter->fd, &event, 1, -1);
}

static long in_poll(struct waiter *waiter)
{
	struct pollfd want = {.fd = waiter->fd, .events = POLLIN};

	return poll(&want, 1, 600 * 1000);
}

static long in_nanosleep(struct waiter *waiter)
{
	struct timespec span = {.tv_sec = 600}, rest = {0};
	long result = nanosleep(&span, &rest);

	(void)waiter;
	/* Some of it has passed, and the rest is told. */
	CHECK(rest.tv_sec > 0 && rest.tv_sec < 600);
	return result;
}

int main(void)
{
	struct sigaction interrupt = {.sa_handler = handler};
	struct sigaction restart = {.sa_handler = handler, .sa_flags = SA_RESTART};
	int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	CHECK(sigaction(SIGUSR1, &interrupt, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &restart, NULL) == 0);
	struct waiter waiters[] = {
		{.call = in_read, .fd = ends[0]},
		{.call = in_epoll_wait, .fd = epoll},
		{.call = in_poll, .fd = ends[0]},
		{.call = in_nanosleep},
	};
	struct waiter restarted = {.call = in_read, .fd = ends[0]};

	for (int i = 0; i < 4; i++)
		waiter_start(&waiters[i]);
	waiter_start(&restarted);

	test_ready();

	CHECK_EQ(handled, 0);
	CHECK_EQ(pthread_kill(restarted.thread, SIGUSR2), 0);
	for (int i = 0; i < 4; i++) {
		await_asleep(waiters[i].tid);
		CHECK(!waiter_ended(&waiters[i]));
		CHECK_EQ(pthread_kill(waiters[i].thread, SIGUSR1), 0);
		CHECK_EQ(waiter_result(&waiters[i]), -1);
		CHECK_EQ(waiters[i].error, EINTR);
	}
	await_asleep(restarted.tid);
	CHECK_EQ(handled, 5);
	CHECK(!waiter_ended(&restarted));
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK_EQ(waiter_result(&restarted), 1);
	test_passed();
}

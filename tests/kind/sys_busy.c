/*
 * Shows: threads that rush through system calls, so that each stop meets them
 * in another one, or on its way in or out: nothing is done twice or left out.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "waiting.h"

static atomic_bool stop;
static atomic_ulong handled;
static int there[2], back[2], self[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static unsigned long turn;

static void handler(int sig)
{
	(void)sig;
	handled++;
}

/* Numbers there and back; the partner returns each. */
static long send_numbers(struct waiter *waiter)
{
	unsigned long n, got;

	(void)waiter;
	for (n = 1; !stop; n++) {
		CHECK_EQ(write(there[1], &n, sizeof n), sizeof n);
		CHECK_EQ(read(back[0], &got, sizeof got), sizeof got);
		CHECK_EQ(got, n);
	}
	close(there[1]);
	return (long)n;
}

static long return_numbers(struct waiter *waiter)
{
	unsigned long n, got;

	(void)waiter;
	for (n = 1; read(there[0], &got, sizeof got) == sizeof got; n++) {
		CHECK_EQ(got, n);
		CHECK_EQ(write(back[1], &got, sizeof got), sizeof got);
	}
	return (long)n;
}

/* Two threads take turns; which of them is which says the descriptor. */
static long take_turns(struct waiter *waiter)
{
	unsigned long own = (unsigned long)waiter->fd;

	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	for (; !stop; own += 2) {
		while (turn != own && !stop)
			CHECK_EQ(pthread_cond_wait(&condition, &mutex), 0);
		turn++;
		CHECK_EQ(pthread_cond_broadcast(&condition), 0);
	}
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	return 0;
}

static long count_events(struct waiter *waiter)
{
	int event = eventfd(0, EFD_CLOEXEC), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event want = {.events = EPOLLIN, .data.fd = event}, got;
	uint64_t value;

	(void)waiter;
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &want) == 0);
	for (uint64_t n = 1; !stop; n++) {
		CHECK_EQ(epoll_wait(epoll, &got, 1, 0), 0);
		CHECK_EQ(epoll_wait(epoll, &got, 1, 1), 0);
		CHECK_EQ(write(event, &n, sizeof n), sizeof n);
		CHECK_EQ(epoll_wait(epoll, &got, 1, -1), 1);
		CHECK_EQ(read(event, &value, sizeof value), sizeof value);
		CHECK_EQ(value, n);
	}
	return 0;
}

static long take_naps(struct waiter *waiter)
{
	(void)waiter;
	while (!stop) {
		double begin = now_seconds();

		CHECK_EQ(nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL), 0);
		CHECK(now_seconds() - begin >= 0.0003);
	}
	return 0;
}

/* Each signal is handled once, before the call that sent it returns. */
static long raise_signals(struct waiter *waiter)
{
	unsigned long n;

	(void)waiter;
	for (n = 1; !stop; n++) {
		CHECK_EQ(raise(SIGUSR1), 0);
		CHECK_EQ(handled, n);
		CHECK_EQ(write(self[1], "x", 1), 1);
		CHECK_EQ(read(self[0], (char[1]){0}, 1), 1);
	}
	return 0;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct waiter waiters[] = {
		{.call = send_numbers},        {.call = return_numbers},
		{.call = take_turns, .fd = 0}, {.call = take_turns, .fd = 1},
		{.call = count_events},        {.call = take_naps},
		{.call = raise_signals},
	};
	const int count = sizeof waiters / sizeof *waiters;

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
	CHECK(pipe2(self, O_CLOEXEC) == 0);
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_create(&waiters[i].thread, NULL, waiter_run, &waiters[i]), 0);
	test_nap(50);

	test_ready();

	test_nap(200);
	stop = true;
	pthread_mutex_lock(&mutex);
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < count; i++)
		CHECK(waiter_result(&waiters[i]) >= 0);
	CHECK_EQ(waiters[0].result, waiters[1].result);
	test_passed();
}

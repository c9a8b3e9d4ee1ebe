/* A timer of the C library that calls a function in a thread (SIGEV_THREAD) goes on calling it. */
#include <pthread.h>
#include <signal.h>

#include "check.h"

static int calls;

static void call(union sigval value)
{
	CHECK_EQ(value.sival_int, 99);
	__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void await_calls(int more)
{
	int want = __atomic_load_n(&calls, __ATOMIC_SEQ_CST) + more;

	for (int i = 0; i < 6000; i++) {
		if (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= want)
			return;
		test_nap(10);
	}
	CHECK(!"the timer calls no more");
}

int main(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 99};
	struct itimerspec often = {.it_value = {0, 10000000}, .it_interval = {0, 30000000}};
	timer_t timer;

	event.sigev_notify_function = call;
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &often, NULL) == 0);
	await_calls(2);

	test_ready();

	await_calls(3);
	CHECK(timer_delete(timer) == 0);
	test_passed();
}

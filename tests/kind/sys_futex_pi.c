/*
 * Shows: a thread that waits for a mutex with priority inheritance, of which
 * the kernel itself knows the owner.
 */
#include "waiting.h"

static pthread_mutex_t mutex, timed_mutex;

static long in_lock(struct waiter *waiter)
{
	int result = pthread_mutex_lock(&mutex);

	(void)waiter;
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	return result;
}

static long in_timedlock(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, SLEEP_SECONDS);

	(void)waiter;
	return pthread_mutex_timedlock(&timed_mutex, &until);
}

int main(void)
{
	struct waiter waiter = {.call = in_lock}, timed = {.call = in_timedlock};
	pthread_mutexattr_t inherit;

	CHECK_EQ(pthread_mutexattr_init(&inherit), 0);
	CHECK_EQ(pthread_mutexattr_setprotocol(&inherit, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &inherit), 0);
	CHECK_EQ(pthread_mutex_init(&timed_mutex, &inherit), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	CHECK_EQ(pthread_mutex_lock(&timed_mutex), 0);
	waiter_start(&waiter);
	waiter_start(&timed);

	test_ready();

	CHECK_TIMED_OUT(&timed, ETIMEDOUT);
	CHECK(!waiter_ended(&waiter));
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	CHECK_EQ(waiter_result(&waiter), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	test_passed();
}

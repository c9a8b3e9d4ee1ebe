/*
 * Shows: threads that wait for a mutex, a condition, a semaphore or a bare
 * futex: those whose time is up end so, the others are woken as ever.
 */
#include <linux/futex.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "waiting.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool happened;
static sem_t semaphore;
static uint32_t word;

static long in_cond_wait(struct waiter *waiter)
{
	(void)waiter;
	pthread_mutex_lock(&mutex);
	while (!happened)
		CHECK_EQ(pthread_cond_wait(&condition, &mutex), 0);
	return pthread_mutex_unlock(&mutex);
}

static long in_cond_timedwait(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, SLEEP_SECONDS);
	int result;

	(void)waiter;
	pthread_mutex_lock(&mutex);
	do /* wakes without a cause are allowed */
		result = pthread_cond_timedwait(&condition, &mutex, &until);
	while (result == 0);
	pthread_mutex_unlock(&mutex);
	return result;
}

static long in_mutex_lock(struct waiter *waiter)
{
	int result = pthread_mutex_lock(&contended);

	(void)waiter;
	pthread_mutex_unlock(&contended);
	return result;
}

static long in_sem_wait(struct waiter *waiter)
{
	(void)waiter;
	return sem_wait(&semaphore);
}

static long in_sem_timedwait(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, SLEEP_SECONDS);

	(void)waiter;
	return sem_timedwait(&semaphore, &until);
}

static long in_futex(struct waiter *waiter)
{
	(void)waiter;
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
}

/* Its time is relative: the kernel notes until when, and where not to look. */
static long in_futex_short(struct waiter *waiter)
{
	struct timespec timeout = {.tv_sec = SLEEP_SECONDS};

	(void)waiter;
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &timeout);
}

int main(void)
{
	struct waiter timed[] = {
		{.call = in_cond_timedwait}, {.call = in_sem_timedwait}, {.call = in_futex_short}};
	struct waiter others[] = {{.call = in_cond_wait},
				  {.call = in_mutex_lock},
				  {.call = in_sem_wait},
				  {.call = in_futex}};

	CHECK(sem_init(&semaphore, 0, 0) == 0);
	CHECK_EQ(pthread_mutex_lock(&contended), 0);
	for (int i = 0; i < 4; i++)
		waiter_start(&others[i]);
	for (int i = 0; i < 3; i++)
		waiter_start(&timed[i]);

	test_ready();

	CHECK_TIMED_OUT(&timed[0], ETIMEDOUT);
	CHECK_TIMED_OUT(&timed[1], -1);
	CHECK_EQ(timed[1].error, ETIMEDOUT);
	CHECK_TIMED_OUT(&timed[2], -1);
	CHECK_EQ(timed[2].error, ETIMEDOUT);
	for (int i = 0; i < 4; i++)
		CHECK(!waiter_ended(&others[i]));

	pthread_mutex_lock(&mutex);
	happened = true;
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&mutex);
	CHECK_EQ(pthread_mutex_unlock(&contended), 0);
	CHECK(sem_post(&semaphore) == 0);
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 9), 1);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(waiter_result(&others[i]), 0);
	test_passed();
}

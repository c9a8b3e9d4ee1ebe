/*
 * Shows: thread ids, and the address that the kernel clears when a thread
 * ends, which is what pthread_join waits for.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "waiting.h"

#define THREADS 3

static pthread_barrier_t barrier;

static int *tid_address(void)
{
	int *address = NULL;

	/* Only there where checkpointing is configured. */
	if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) < 0)
		CHECK(errno == EINVAL);
	return address;
}

static void *wait_and_end(void *arg)
{
	int *address = tid_address();
	pid_t tid = gettid();

	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	CHECK_EQ(gettid(), tid);
	CHECK(tid_address() == address);
	CHECK(!address || *address == tid);
	CHECK(gettid() != getpid());
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];
	int *address = tid_address();
	pid_t pid = getpid();

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, wait_and_end, &barrier), 0);
	pthread_barrier_wait(&barrier);

	test_ready();

	CHECK_EQ(getpid(), pid);
	CHECK_EQ(gettid(), pid);
	CHECK(tid_address() == address);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++) {
		struct timespec until = in_seconds(CLOCK_REALTIME, PATIENCE_SECONDS);
		void *value = NULL;

		CHECK_EQ(pthread_timedjoin_np(threads[i], &value, &until), 0);
		CHECK(value == &barrier);
	}
	test_passed();
}

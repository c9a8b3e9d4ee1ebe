/* EXPECT-REFUSAL: descriptor */
/*
 * Shows: a thread with descriptors of its own (unshare(CLONE_FILES)) is refused
 * and goes on, since the image knows one table for the whole process.
 */
#include <pthread.h>
#include <sched.h>

#include "check.h"

#define NUMBER 50

static pthread_barrier_t barrier;

static void *apart(void *arg)
{
	CHECK(unshare(CLONE_FILES) == 0);
	CHECK(dup2(0, NUMBER) == NUMBER);
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint is refused. */
	pthread_barrier_wait(&barrier);
	CHECK(fcntl(NUMBER, F_GETFD) == 0);
	return arg;
}

int main(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, apart, NULL), 0);
	pthread_barrier_wait(&barrier);
	CHECK(fcntl(NUMBER, F_GETFD) < 0);

	test_ready();

	CHECK(fcntl(NUMBER, F_GETFD) < 0);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	test_passed();
}

/* EXPECT-REFUSAL: leader|main thread */
/*
 * Shows: a process whose first thread has ended while others go on is refused
 * (its place is kept by a zombie, which nothing can bring back), and goes on.
 */
#include "waiting.h"

static void *survivor(void *arg)
{
	for (int tries = 0; thread_state(getpid()) != 'Z'; tries++) {
		CHECK(tries < 10000);
		test_nap(2);
	}

	test_ready();

	CHECK(thread_state(getpid()) == 'Z');
	CHECK(gettid() != getpid());
	test_passed();
	return arg;
}

int main(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, survivor, NULL), 0);
	pthread_exit(NULL);
}

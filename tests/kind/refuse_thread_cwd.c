/* EXPECT-REFUSAL: thread */
/* A thread with a working directory of its own. */
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#include "check.h"

static pthread_barrier_t moved, resumed;

static void *thread(void *arg)
{
	CHECK(unshare(CLONE_FS) == 0 && chdir("elsewhere") == 0);
	pthread_barrier_wait(&moved);
	pthread_barrier_wait(&resumed);
	CHECK(access("here", F_OK) == 0);
	return arg;
}

int main(void)
{
	pthread_t id;

	CHECK(mkdir("elsewhere", 0700) == 0 && mkdir("elsewhere/here", 0700) == 0);
	pthread_barrier_init(&moved, NULL, 2);
	pthread_barrier_init(&resumed, NULL, 2);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
	pthread_barrier_wait(&moved);

	test_ready();

	pthread_barrier_wait(&resumed);
	CHECK(pthread_join(id, NULL) == 0);
	test_passed();
}

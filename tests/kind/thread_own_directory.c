/* EXPECT-REFUSAL: director */
/*
 * Shows: a thread with a working directory of its own (unshare(CLONE_FS)) is
 * refused and goes on, since the image knows one for the whole process.
 */
#include <pthread.h>
#include <sched.h>

#include "check.h"

static pthread_barrier_t barrier;

static void check_directory(const char *want)
{
	char now[4096];

	CHECK(getcwd(now, sizeof now));
	CHECK(strcmp(now, want) == 0);
}

static void *elsewhere(void *arg)
{
	CHECK(unshare(CLONE_FS) == 0);
	CHECK(chdir("/") == 0);
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint is refused. */
	pthread_barrier_wait(&barrier);
	check_directory("/");
	return arg;
}

int main(void)
{
	pthread_t thread;
	char here[4096];

	CHECK(getcwd(here, sizeof here));
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, elsewhere, NULL), 0);
	pthread_barrier_wait(&barrier);

	test_ready();

	check_directory(here);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	test_passed();
}

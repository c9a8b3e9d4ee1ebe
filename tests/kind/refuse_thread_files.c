/* EXPECT-REFUSAL: thread */
/* A thread with a table of descriptors of its own: what it has open there must not get lost. */
#include <pthread.h>
#include <sched.h>

#include "check.h"

static pthread_barrier_t opened, resumed;

static void *thread(void *arg)
{
	char text[8] = "";
	int fd;

	CHECK(unshare(CLONE_FILES) == 0);
	fd = open("own", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0 && write(fd, "own", 3) == 3);
	pthread_barrier_wait(&opened);
	pthread_barrier_wait(&resumed);
	CHECK(pread(fd, text, 3, 0) == 3 && strcmp(text, "own") == 0);
	return arg;
}

int main(void)
{
	pthread_t id;

	pthread_barrier_init(&opened, NULL, 2);
	pthread_barrier_init(&resumed, NULL, 2);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
	pthread_barrier_wait(&opened);

	test_ready();

	pthread_barrier_wait(&resumed);
	CHECK(pthread_join(id, NULL) == 0);
	test_passed();
}

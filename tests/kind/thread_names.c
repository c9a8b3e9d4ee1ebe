/*
 * Shows: the name of each thread, as prctl and /proc tell it, also an empty
 * one, the longest and one with signs that /proc has to escape.
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "check.h"

static const char *const names[] = {"main one", "", "fifteen letters", "a) (b\n\\c"};

enum {
	COUNT = sizeof names / sizeof *names,
};

static pthread_barrier_t barrier;

static void check_name(const char *want)
{
	char path[64], now[16], in_proc[64] = "";

	CHECK(prctl(PR_GET_NAME, now) == 0);
	CHECK(strcmp(now, want) == 0);
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", gettid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(read(fd, in_proc, sizeof in_proc), strlen(want) + 1);
	CHECK(memcmp(in_proc, want, strlen(want)) == 0);
	close(fd);
}

static void *named(void *arg)
{
	CHECK(prctl(PR_SET_NAME, arg) == 0);
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	check_name(arg);
	return NULL;
}

int main(void)
{
	pthread_t threads[COUNT];

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, COUNT), 0);
	CHECK(prctl(PR_SET_NAME, names[0]) == 0);
	for (int i = 1; i < COUNT; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, named, (void *)names[i]), 0);
	pthread_barrier_wait(&barrier);
	check_name(names[0]);

	test_ready();

	check_name(names[0]);
	pthread_barrier_wait(&barrier);
	for (int i = 1; i < COUNT; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	test_passed();
}

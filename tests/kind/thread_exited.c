/*
 * Shows: threads that have ended leave no trace, detached or not yet joined,
 * and new ones can be made afterwards.
 */
#include <pthread.h>
#include <dirent.h>

#include "check.h"

static pthread_barrier_t barrier;

static void *end_at_once(void *arg)
{
	return arg;
}

static void *wait_and_end(void *arg)
{
	pthread_barrier_wait(&barrier);
	return arg;
}

static int count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	CHECK(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

static void await_threads(int want)
{
	for (int tries = 0; count_threads() != want; tries++) {
		CHECK(tries < 10000);
		test_nap(2);
	}
}

static void join(pthread_t thread, void *want)
{
	void *value = NULL;

	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == want);
}

int main(void)
{
	pthread_t detached, unjoined, waiting, young;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&detached, NULL, end_at_once, NULL), 0);
	CHECK_EQ(pthread_detach(detached), 0);
	CHECK_EQ(pthread_create(&unjoined, NULL, end_at_once, &barrier), 0);
	CHECK_EQ(pthread_create(&waiting, NULL, wait_and_end, &barrier), 0);
	await_threads(2);

	test_ready();

	CHECK_EQ(count_threads(), 2);
	join(unjoined, &barrier);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(pthread_create(&young, NULL, end_at_once, &detached), 0);
		join(young, &detached);
	}
	pthread_barrier_wait(&barrier);
	join(waiting, &barrier);
	await_threads(1);
	test_passed();
}

/*
 * Shows: a program that makes short-lived children without end, by fork(2), by vfork(2) and
 * in threads, is stopped all the same, and none of its children is lost or waited for twice.
 */
/* LINK: -lpthread */
#include <pthread.h>
#include <stdatomic.h>

#include "tree.h"

static atomic_int go, made;

static void *fork_on(void *arg)
{
	while (!go) {
		int status = -1;
		pid_t child = arg ? vfork() : fork();

		CHECK(child >= 0);
		if (child == 0)
			_exit(7);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		made++;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[3];
	int before;

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, fork_on, i ? NULL : threads) == 0);
	while (made < 100)
		test_nap(1);

	test_ready();

	for (before = made; made < before + 20;)
		test_nap(1);
	go = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
	test_passed();
}

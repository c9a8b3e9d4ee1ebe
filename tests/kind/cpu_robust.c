/*
 * Shows: the list of robust mutexes of each thread: who ends with one held
 * leaves it to the next with EOWNERDEAD.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "check.h"

static pthread_mutex_t mutex;
static pthread_barrier_t barrier;

struct list {
	void *head;
	size_t length;
};

static struct list own_list(void)
{
	struct list list = {0};

	CHECK(syscall(SYS_get_robust_list, 0, &list.head, &list.length) == 0);
	return list;
}

static void check_own_list(struct list before)
{
	struct list now = own_list();

	CHECK(now.head == before.head);
	CHECK_EQ(now.length, before.length);
}

static void *hold_and_end(void *arg)
{
	struct list before = own_list();

	CHECK(before.head && before.length == sizeof(struct robust_list_head));
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	check_own_list(before);
	return arg;
}

int main(void)
{
	pthread_mutexattr_t robust;
	pthread_t thread;

	CHECK_EQ(pthread_mutexattr_init(&robust), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &robust), 0);
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, hold_and_end, NULL), 0);
	pthread_barrier_wait(&barrier);
	struct list before = own_list();

	test_ready();

	check_own_list(before);
	CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	test_passed();
}

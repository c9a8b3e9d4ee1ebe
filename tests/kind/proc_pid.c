/* Process and thread numbers are what they were; group and session are some that exist. */
#include <pthread.h>

#include "check.h"

static pthread_barrier_t started, resumed;

static void *thread(void *arg)
{
	pid_t *tid = arg;

	*tid = gettid();
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&resumed);
	CHECK_EQ(gettid(), *tid);
	return NULL;
}

int main(void)
{
	pid_t pid = getpid(), tid;
	char self[32], link[32];
	pthread_t other;
	ssize_t n;

	pthread_barrier_init(&started, NULL, 2);
	pthread_barrier_init(&resumed, NULL, 2);
	CHECK(pthread_create(&other, NULL, thread, &tid) == 0);
	pthread_barrier_wait(&started);

	test_ready();

	CHECK_EQ(getpid(), pid);
	CHECK_EQ(gettid(), pid);
	CHECK(getppid() != pid);
	CHECK(getpgrp() >= 0 && getsid(0) >= 0);
	snprintf(self, sizeof(self), "%d", pid);
	n = readlink("/proc/self", link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = '\0';
	CHECK(strcmp(link, self) == 0);
	pthread_barrier_wait(&resumed);
	CHECK(pthread_join(other, NULL) == 0);
	test_passed();
}

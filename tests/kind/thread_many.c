/*
 * Shows: 300 threads, each with its own name, signal mask, thread-local value
 * and thread id, all waiting for one condition.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "check.h"

#define THREADS 300

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static bool go_on;
static __thread long own;

static int signal_of(long i)
{
	return SIGRTMIN + (int)(i % 25);
}

static void *run(void *arg)
{
	long i = own = (long)arg;
	char name[16], now[16] = "";
	pid_t tid = gettid();
	sigset_t mask;

	snprintf(name, sizeof name, "number %ld", i);
	CHECK(prctl(PR_SET_NAME, name) == 0);
	sigemptyset(&mask);
	sigaddset(&mask, signal_of(i));
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
	pthread_barrier_wait(&barrier);

	pthread_mutex_lock(&mutex);
	while (!go_on)
		CHECK_EQ(pthread_cond_wait(&condition, &mutex), 0);
	pthread_mutex_unlock(&mutex);

	CHECK_EQ(own, i);
	CHECK_EQ(gettid(), tid);
	CHECK(prctl(PR_GET_NAME, now) == 0 && strcmp(now, name) == 0);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	for (int sig = 1; sig < NSIG; sig++)
		CHECK_EQ(sigismember(&mask, sig), sig == signal_of(i));
	return (void *)(i + 1);
}

int main(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 128 * 1024), 0);
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], &attr, run, (void *)i), 0);
	pthread_barrier_wait(&barrier);

	test_ready();

	pthread_mutex_lock(&mutex);
	go_on = true;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (long i = 0; i < THREADS; i++) {
		void *value;

		CHECK_EQ(pthread_join(threads[i], &value), 0);
		CHECK_EQ(value, i + 1);
	}
	test_passed();
}

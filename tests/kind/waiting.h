/*
 * Threads that wait within a system call while the checkpoint happens.
 *
 *	static long in_read(struct waiter *w) { return read(w->fd, &byte, 1); }
 *
 *	struct waiter reader = {.call = in_read, .fd = pipe_ends[0]};
 *	waiter_start(&reader);		returns when the thread sleeps in there
 *	test_ready();
 *	CHECK(!waiter_ended(&reader));
 *	CHECK_EQ(waiter_result(&reader), 1);
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "check.h"

/* Long enough that the checkpoint falls within it. */
#define SLEEP_SECONDS 3

/* What a wait may take beyond that: restores are slow on some machines. */
#define PATIENCE_SECONDS 120

struct waiter {
	long (*call)(struct waiter *waiter);
	int fd;
	void *arg;
	pthread_t thread;
	pid_t tid;
	double lasted; /* seconds that the call took */
	long result;
	int error; /* errno after it */
	atomic_bool ended;
};

static inline double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* An absolute time of this clock, so many seconds from now. */
static inline struct timespec in_seconds(clockid_t clock, int seconds)
{
	struct timespec ts;

	CHECK(clock_gettime(clock, &ts) == 0);
	ts.tv_sec += seconds;
	return ts;
}

#define THREAD_GONE '\0'

static inline char thread_state(pid_t tid)
{
	char path[64], stat[256];

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return THREAD_GONE;
	ssize_t n = read(fd, stat, sizeof stat - 1);

	close(fd);
	if (n <= 0)
		return THREAD_GONE;
	stat[n] = '\0';
	return strrchr(stat, ')')[2];
}

/* Until it sleeps, and not just for a moment. */
static inline void await_asleep(pid_t tid)
{
	for (int seen = 0, tries = 0; seen < 10; tries++) {
		char state = thread_state(tid);

		CHECK(state != THREAD_GONE && tries < 30000);
		seen = state == 'S' ? seen + 1 : 0;
		test_nap(2);
	}
}

static inline void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;

	__atomic_store_n(&waiter->tid, gettid(), __ATOMIC_SEQ_CST);
	double begin = now_seconds();

	errno = 0;
	waiter->result = waiter->call(waiter);
	waiter->error = errno;
	waiter->lasted = now_seconds() - begin;
	CHECK_EQ(gettid(), waiter->tid);
	waiter->ended = true;
	return NULL;
}

static inline void waiter_start(struct waiter *waiter)
{
	CHECK_EQ(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
	while (!__atomic_load_n(&waiter->tid, __ATOMIC_SEQ_CST))
		test_nap(1);
	await_asleep(waiter->tid);
}

static inline bool waiter_ended(struct waiter *waiter)
{
	return waiter->ended;
}

/* Waits for its end; patient, but not for ever. */
static inline long waiter_result(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, PATIENCE_SECONDS);

	CHECK_EQ(pthread_timedjoin_np(waiter->thread, NULL, &until), 0);
	errno = waiter->error; /* for what CHECK prints */
	return waiter->result;
}

/*
 * It ended by its timeout: with this result, and not too early.  Too late
 * cannot be told: a relative time may begin again with the restore.  (The
 * millisecond: select gives the time left in whole microseconds.)
 */
#define CHECK_TIMED_OUT(waiter, want)                                                              \
	do {                                                                                       \
		CHECK_EQ(waiter_result(waiter), want);                                             \
		CHECK((waiter)->lasted > SLEEP_SECONDS - 0.001);                                   \
	} while (0)

/* A thread that waits, and is asked what its filters answer to getpriority(2) and sysinfo(2). */
#pragma once

#include <pthread.h>

#include "seccomp.h"

static struct {
	int ready, asked, done;
	int answers[2];
} seccomp_thread;

static inline void *seccomp_thread_run(void *arg)
{
	const long *own = arg;

	if (*own >= 0)
		CHECK(forbid(*own, SECCOMP_RET_ERRNO | EDOM, 0) == 0);
	__atomic_store_n(&seccomp_thread.ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&seccomp_thread.asked, __ATOMIC_SEQ_CST))
		test_nap(2);
	seccomp_thread.answers[0] = answer_of(SYS_getpriority);
	seccomp_thread.answers[1] = answer_of(SYS_sysinfo);
	__atomic_store_n(&seccomp_thread.done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		test_nap(1000);
	return arg;
}

/* own: this call is answered with EDOM to the thread alone; -1: no filter of its own. */
static inline void seccomp_thread_start(long own)
{
	pthread_t id;

	CHECK(pthread_create(&id, NULL, seccomp_thread_run, &own) == 0);
	while (!__atomic_load_n(&seccomp_thread.ready, __ATOMIC_SEQ_CST))
		test_nap(1);
}

static inline void seccomp_thread_ask(int answers[2])
{
	__atomic_store_n(&seccomp_thread.asked, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&seccomp_thread.done, __ATOMIC_SEQ_CST))
		test_nap(1);
	memcpy(answers, seccomp_thread.answers, sizeof seccomp_thread.answers);
}

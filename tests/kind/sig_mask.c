/* Every thread has its own mask of blocked signals; the C library's own two are part of it. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "check.h"

#define THREADS 4

static pthread_barrier_t masked, resumed;

static uint64_t get_mask(void)
{
	uint64_t mask = 0;

	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &mask, sizeof(mask)) == 0);
	return mask;
}

/* The raw call: pthread_sigmask would not let signals 32 and 33 be blocked. */
static void set_mask(uint64_t mask)
{
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask)) == 0);
	CHECK(get_mask() == mask);
}

static void *thread(void *arg)
{
	uint64_t mask = (uint64_t)(uintptr_t)arg;

	set_mask(mask);
	pthread_barrier_wait(&masked);
	pthread_barrier_wait(&resumed);
	CHECK(get_mask() == mask);
	return NULL;
}

int main(void)
{
	/* Without SIGKILL (bit 8) and SIGSTOP (bit 18), which cannot be blocked. */
	static const uint64_t masks[THREADS] = {
		0, 0xfffffffffffbfeff, 0x8000000180000001, 0x5555555555515455,
	};
	const uint64_t own = 0x0000000100000a00;
	pthread_t threads[THREADS];

	pthread_barrier_init(&masked, NULL, THREADS + 1);
	pthread_barrier_init(&resumed, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, thread, (void *)(uintptr_t)masks[i]) == 0);
	pthread_barrier_wait(&masked);
	set_mask(own);

	test_ready();

	CHECK(get_mask() == own);
	pthread_barrier_wait(&resumed);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	test_passed();
}

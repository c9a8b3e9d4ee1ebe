/*
 * Shows: what the C library keeps for each thread: thread-local variables of
 * several kinds, keys with values, errno, the stack protector's canary and
 * the thread's own identity.
 */
#include <locale.h>
#include <pthread.h>
#include <stdint.h>

#include "check.h"

#define THREADS 8

static __thread int initialized = 42;
static __thread char big[100000];
static __thread struct {
	double number;
	char text[32];
} __attribute__((aligned(64))) aligned_one;

static pthread_barrier_t barrier;
static pthread_key_t key;

static uintptr_t canary(void)
{
	uintptr_t value;

	asm volatile("mov %%fs:0x28, %0" : "=r"(value));
	return value;
}

static void *run(void *arg)
{
	long i = (long)arg;
	pthread_t self = pthread_self();
	uintptr_t guard = canary();
	char text[32];

	snprintf(text, sizeof text, "thread %ld", i);
	initialized += (int)i;
	memset(big, (int)i, sizeof big);
	aligned_one.number = 1.5 * (double)i;
	memcpy(aligned_one.text, text, sizeof text);
	CHECK_EQ(pthread_setspecific(key, &big[i]), 0);
	locale_t locale = uselocale(newlocale(LC_ALL_MASK, "C", NULL));

	errno = 1000 + (int)i;
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	CHECK_EQ(errno, 1000 + i);
	CHECK_EQ(initialized, 42 + i);
	for (size_t at = 0; at < sizeof big; at++)
		CHECK_EQ(big[at], i);
	CHECK(aligned_one.number == 1.5 * (double)i);
	CHECK((uintptr_t)&aligned_one % 64 == 0);
	CHECK(strcmp(aligned_one.text, text) == 0);
	CHECK(pthread_getspecific(key) == &big[i]);
	CHECK(pthread_equal(pthread_self(), self));
	CHECK_EQ(canary(), guard);
	CHECK(uselocale(locale) != locale);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	CHECK_EQ(pthread_key_create(&key, NULL), 0);
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, run, (void *)(i + 1)), 0);
	initialized = 7;
	pthread_barrier_wait(&barrier);

	test_ready();

	CHECK_EQ(initialized, 7);
	CHECK_EQ(big[0], 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	test_passed();
}

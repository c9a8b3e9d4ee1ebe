/*
 * Shows: FS and GS base of each thread, and the selectors of the data segments.
 */
#include <asm/prctl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "check.h"

static __thread long own_variable;
static pthread_barrier_t barrier;

static unsigned long base(int which)
{
	unsigned long value = 0;

	CHECK(syscall(SYS_arch_prctl, which, &value) == 0);
	return value;
}

static long by_gs(void)
{
	long value;

	asm volatile("mov %%gs:8, %0" : "=r"(value));
	return value;
}

static unsigned int es(void)
{
	unsigned int selector;

	asm volatile("mov %%es, %0" : "=r"(selector));
	return selector;
}

static void *other(void *arg)
{
	long area[2] = {0, (long)arg};
	long *variable = &own_variable;

	own_variable = (long)arg;
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, area) == 0);
	unsigned long fs = base(ARCH_GET_FS);

	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	CHECK_EQ(base(ARCH_GET_FS), fs);
	CHECK_EQ(fs, pthread_self());
	CHECK_EQ(base(ARCH_GET_GS), area);
	CHECK_EQ(by_gs(), arg);
	CHECK(&own_variable == variable && own_variable == (long)arg);
	return NULL;
}

int main(void)
{
	long area[2] = {0, 4711};
	pthread_t threads[2];

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 3), 0);
	for (long i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, other, (void *)(i + 100)), 0);
	own_variable = 1;
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, area) == 0);
	asm volatile("mov %0, %%es" : : "r"(0x2b));
	unsigned long fs = base(ARCH_GET_FS);

	pthread_barrier_wait(&barrier);
	test_ready();
	pthread_barrier_wait(&barrier);

	CHECK_EQ(es(), 0x2b);
	CHECK_EQ(base(ARCH_GET_FS), fs);
	CHECK_EQ(base(ARCH_GET_GS), area);
	CHECK_EQ(by_gs(), 4711);
	CHECK_EQ(own_variable, 1);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	test_passed();
}

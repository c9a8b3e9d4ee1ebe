/*
 * Shows: the switches that are a thread's own: reading the time stamp counter,
 * what it wants of memory errors and of speculative execution.
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "check.h"

static pthread_barrier_t barrier;

struct switches {
	int tsc, machine_check, speculation[3];
};

static struct switches own_switches(void)
{
	struct switches now = {0};

	CHECK(prctl(PR_GET_TSC, &now.tsc) == 0);
	now.machine_check = prctl(PR_MCE_KILL_GET, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		now.speculation[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
	return now;
}

static void check_switches(const struct switches *before)
{
	struct switches now = own_switches();

	CHECK_EQ(now.tsc, before->tsc);
	CHECK_EQ(now.machine_check, before->machine_check);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(now.speculation[i], before->speculation[i]);
}

static void *run(void *arg)
{
	struct switches before;

	CHECK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
	CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	/* Where the processor and the kernel leave the choice. */
	for (int i = 0; i < 3; i++)
		prctl(PR_SET_SPECULATION_CTRL, i, PR_SPEC_DISABLE, 0, 0);
	before = own_switches();
	CHECK_EQ(before.tsc, PR_TSC_SIGSEGV);
	CHECK_EQ(before.machine_check, PR_MCE_KILL_EARLY);
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	check_switches(&before);
	/* The end of a thread in the C library may look at the clock. */
	CHECK(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
	return arg;
}

int main(void)
{
	struct switches before = own_switches();
	pthread_t thread;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, run, NULL), 0);
	pthread_barrier_wait(&barrier);

	test_ready();

	check_switches(&before);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	test_passed();
}

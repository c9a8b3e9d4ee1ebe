/*
 * Shows: how each thread is scheduled: policy with all its parameters, nice
 * value, affinity, timer slack and I/O priority, different in every thread.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "check.h"

/* As the kernel defines it; its size tells how much of it this kernel fills. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

struct scheduling {
	struct attributes attributes;
	cpu_set_t cpus;
	long slack, io_priority;
};

static pthread_barrier_t barrier;
static const int policies[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_OTHER};

enum {
	THREADS = sizeof policies / sizeof *policies,
	WHO_PROCESS = 1, /* of ioprio_set */
	BEST_EFFORT = 2 << 13,
};

static struct scheduling own_scheduling(void)
{
	struct scheduling now;

	memset(&now, 0, sizeof now);
	CHECK(syscall(SYS_sched_getattr, 0, &now.attributes, sizeof now.attributes, 0) == 0);
	CHECK(sched_getaffinity(0, sizeof now.cpus, &now.cpus) == 0);
	now.slack = prctl(PR_GET_TIMERSLACK);
	now.io_priority = syscall(SYS_ioprio_get, WHO_PROCESS, 0);
	return now;
}

static void check_scheduling(const struct scheduling *before)
{
	struct scheduling now = own_scheduling();

	CHECK_EQ(now.attributes.policy, before->attributes.policy);
	CHECK_EQ(now.attributes.flags, before->attributes.flags);
	CHECK_EQ(now.attributes.nice, before->attributes.nice);
	CHECK_EQ(now.attributes.runtime, before->attributes.runtime);
	CHECK_EQ(now.slack, before->slack);
	CHECK_EQ(now.io_priority, before->io_priority);
	CHECK(CPU_EQUAL(&now.cpus, &before->cpus));
	CHECK(memcmp(&now, before, sizeof now) == 0);
}

/* The last CPU that we may use for odd ones, all for even ones. */
static void choose_cpus(int i)
{
	cpu_set_t cpus, one;

	CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0);
	CPU_ZERO(&one);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && CPU_COUNT(&one) == 0; cpu--)
		if (CPU_ISSET(cpu, &cpus))
			CPU_SET(cpu, &one);
	if (i % 2)
		CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

static void *run(void *arg)
{
	int i = *(const int *)arg, flags = i == 1 ? SCHED_RESET_ON_FORK : 0;

	CHECK(sched_setscheduler(0, policies[i] | flags, &(struct sched_param){0}) == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 3 + i) == 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 60000 + i) == 0);
	CHECK(syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT | (7 - i)) == 0);
	choose_cpus(i);
	struct scheduling before = own_scheduling();

	CHECK_EQ(before.attributes.policy, policies[i]);
	CHECK_EQ(before.slack, 60000 + i);
	CHECK_EQ(before.io_priority, BEST_EFFORT | (7 - i));
	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	check_scheduling(&before);
	return NULL;
}

int main(void)
{
	int numbers[THREADS];
	pthread_t threads[THREADS];
	/* This one has chosen nothing, and that stays so. */
	struct scheduling before = own_scheduling();

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		CHECK_EQ(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
	}
	pthread_barrier_wait(&barrier);

	test_ready();

	check_scheduling(&before);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	test_passed();
}

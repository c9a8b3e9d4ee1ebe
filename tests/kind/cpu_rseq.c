/*
 * Shows: the C library's registration of restartable sequences in every
 * thread: the kernel refuses a second one, keeps the number of the CPU up to
 * date, and still aborts a critical section that a thread is in right now.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "check.h"

static volatile uint32_t stop, aborts;
static pid_t spinner;

static struct rseq *own_rseq(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* What registering the same area once more says: EBUSY, if it is registered. */
static int register_again(void)
{
	unsigned int size = __rseq_size < 32 ? 32 : __rseq_size;

	return syscall(SYS_rseq, own_rseq(), size, 0, RSEQ_SIG) == 0 ? 0 : errno;
}

/* Moves to each CPU in turn and looks what the kernel writes down. */
static void check_cpu_id(void)
{
	cpu_set_t all, one;

	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
		CHECK_EQ(*(volatile uint32_t *)&own_rseq()->cpu_id, cpu);
		CHECK_EQ(*(volatile uint32_t *)&own_rseq()->cpu_id_start, cpu);
	}
	CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

/* One long critical section; whenever it is aborted it begins again. */
static void *spin_in_section(void *arg)
{
	struct rseq *rseq = own_rseq();

	__atomic_store_n(&spinner, gettid(), __ATOMIC_SEQ_CST);
	asm volatile(".pushsection .data.rseq_section, \"aw\"\n"
		     ".balign 32\n"
		     "3:	.long 0, 0\n"
		     "	.quad 1f, 2f - 1f, 4f\n"
		     ".popsection\n"
		     "5:	leaq 3b(%%rip), %%rax\n"
		     "	movq %%rax, %[section]\n"
		     "1:	cmpl $0, %[stop]\n"
		     "	je 1b\n"
		     "2:	movq $0, %[section]\n"
		     "	jmp 6f\n"
		     "	.long %c[signature]\n"
		     "4:	incl %[aborts]\n"
		     "	jmp 5b\n"
		     "6:\n"
		     : [section] "=m"(rseq->rseq_cs), [aborts] "+m"(aborts)
		     : [stop] "m"(stop), [signature] "i"(RSEQ_SIG)
		     : "rax", "memory", "cc");
	CHECK_EQ(register_again(), EBUSY);
	check_cpu_id();
	return arg;
}

static bool aborted_again(void)
{
	uint32_t before = aborts;

	for (int i = 0; i < 6000 && aborts == before; i++) {
		cpu_set_t all, one;

		/* Chasing it from one CPU to another is preemption enough. */
		CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
		CPU_ZERO(&one);
		CPU_SET(i % CPU_COUNT(&all), &one);
		sched_setaffinity(spinner, sizeof one, &one);
		test_nap(5);
		sched_setaffinity(spinner, sizeof all, &all);
	}
	return aborts != before;
}

int main(void)
{
	pthread_t thread;

	if (__rseq_size == 0)
		SKIP("the C library has not registered restartable sequences");
	CHECK_EQ(register_again(), EBUSY);
	CHECK_EQ(pthread_create(&thread, NULL, spin_in_section, NULL), 0);
	while (!__atomic_load_n(&spinner, __ATOMIC_SEQ_CST))
		test_nap(1);
	CHECK(aborted_again());

	test_ready();

	CHECK(aborted_again());
	CHECK_EQ(register_again(), EBUSY);
	check_cpu_id();
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	test_passed();
}

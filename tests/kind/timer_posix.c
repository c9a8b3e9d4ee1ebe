/* POSIX timers: their numbers (with a hole), clocks, signals, values, times and intervals. */
#include <signal.h>
#include <sys/syscall.h>

#include "procfs.h"

#define TIMERS 6
#define HOUR 3600

static int ids[TIMERS];
static volatile sig_atomic_t fired, fired_id, fired_value;

static void on_timer(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	fired_id = info->si_timerid;
	fired_value = info->si_int;
	fired += info->si_code == SI_TIMER;
}

/* The raw calls: the C library's timer_t is not the kernel's number. */
static int create(clockid_t clock, int notify, int sig, long value)
{
	struct sigevent event = {.sigev_notify = notify, .sigev_signo = sig};
	int id;

	event.sigev_value.sival_ptr = (void *)value;
	event._sigev_un._tid = gettid();
	CHECK(syscall(SYS_timer_create, clock, &event, &id) == 0);
	return id;
}

static void arm(int id, int flags, time_t value, time_t interval)
{
	struct itimerspec spec = {.it_value = {value, 0}, .it_interval = {interval, 12345}};

	CHECK(syscall(SYS_timer_settime, id, flags, &spec, NULL) == 0);
}

static struct itimerspec left(int id)
{
	struct itimerspec spec;

	CHECK(syscall(SYS_timer_gettime, id, &spec) == 0);
	return spec;
}

static void set_up(void)
{
	int holes[2];

	ids[0] = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3, 42);
	holes[0] = create(CLOCK_REALTIME, SIGEV_NONE, 0, 0);
	holes[1] = create(CLOCK_REALTIME, SIGEV_NONE, 0, 0);
	ids[1] = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, -1);
	ids[2] = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGUSR1, 0x1234567890);
	ids[3] = create(CLOCK_BOOTTIME, SIGEV_NONE, 0, 7);
	ids[4] = create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 5);
	ids[5] = create(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 6);
	CHECK(syscall(SYS_timer_delete, holes[0]) == 0);
	CHECK(syscall(SYS_timer_delete, holes[1]) == 0);
	arm(ids[0], 0, 1, HOUR);
	arm(ids[1], TIMER_ABSTIME, time(NULL) + 40 * HOUR, HOUR);
	arm(ids[2], 0, 10 * HOUR, 0);
	arm(ids[3], 0, 20 * HOUR, 2 * HOUR);
	arm(ids[4], 0, 30 * HOUR, 3 * HOUR); /* and ids[5] stays disarmed */
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct itimerspec before[TIMERS], after;
	char *table;

	CHECK(sigaction(SIGRTMIN + 3, &sa, NULL) == 0);
	set_up();
	for (int i = 0; i < TIMERS; i++)
		before[i] = left(ids[i]);
	table = procfs_read("/proc/self/timers", NULL);

	test_ready();

	/* Which id has which signal, value, way of notifying, thread and clock. */
	CHECK(strcmp(procfs_read("/proc/self/timers", NULL), table) == 0);
	for (int i = 1; i < TIMERS; i++) {
		after = left(ids[i]);
		CHECK_EQ(after.it_interval.tv_sec, before[i].it_interval.tv_sec);
		CHECK_EQ(after.it_interval.tv_nsec, before[i].it_interval.tv_nsec);
		CHECK(after.it_value.tv_sec <= before[i].it_value.tv_sec);
		CHECK(after.it_value.tv_sec >= before[i].it_value.tv_sec - HOUR);
	}
	CHECK_EQ(after.it_value.tv_nsec, 0);
	for (int i = 0; i < 6000 && fired == 0; i++)
		test_nap(10);
	CHECK_EQ(fired, 1);
	CHECK_EQ(fired_id, ids[0]);
	CHECK_EQ(fired_value, 42);
	test_passed();
}

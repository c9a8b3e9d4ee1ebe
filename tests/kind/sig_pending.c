/*
 * Blocked signals that wait, for the process and for one thread: all of them
 * come, in order, with their code, their sender and their value.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "check.h"

#define QUEUED 6

static pthread_barrier_t queued, resumed;

/* Takes a signal that waits.  The raw call: the C library makes SI_USER of SI_TKILL. */
static siginfo_t take(int sig)
{
	struct timespec now = {0, 0};
	siginfo_t info;
	sigset_t set;

	memset(&info, 0, sizeof(info));
	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(syscall(SYS_rt_sigtimedwait, &set, &info, &now, 8), sig);
	CHECK_EQ(info.si_signo, sig);
	return info;
}

static void check_sender(int sig, int code)
{
	siginfo_t info = take(sig);

	CHECK_EQ(info.si_code, code);
	CHECK_EQ(info.si_pid, getpid());
	CHECK_EQ(info.si_uid, getuid());
}

static void check_value(int sig, int code, long value)
{
	siginfo_t info = take(sig);

	CHECK_EQ(info.si_code, code);
	CHECK_EQ(info.si_pid, getpid());
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ((long)info.si_value.sival_ptr, value);
}

static union sigval number(long n)
{
	return (union sigval){.sival_ptr = (void *)n};
}

static void *thread(void *arg)
{
	(void)arg;
	CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
	CHECK(pthread_sigqueue(pthread_self(), SIGRTMIN + 2, number(0x7700000000007755)) == 0);
	pthread_barrier_wait(&queued);
	pthread_barrier_wait(&resumed);
	check_sender(SIGUSR2, SI_TKILL);
	check_value(SIGRTMIN + 2, SI_QUEUE, 0x7700000000007755);
	return NULL;
}

/* What the kernel sends by itself, and what a program makes up, have other codes. */
static void queue_special(void)
{
	siginfo_t forged = {.si_signo = SIGHUP, .si_code = SI_MESGQ};
	struct itimerval soon = {.it_value = {0, 1000}};
	sigset_t pending;

	forged.si_pid = getpid();
	forged.si_uid = getuid();
	forged.si_value.sival_ptr = (void *)0x1234;
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGHUP, &forged) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	do {
		test_nap(1);
		sigpending(&pending);
	} while (!sigismember(&pending, SIGALRM));
}

int main(void)
{
	sigset_t all, before, after;
	pthread_t other;

	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	pthread_barrier_init(&queued, NULL, 2);
	pthread_barrier_init(&resumed, NULL, 2);
	CHECK(pthread_create(&other, NULL, thread, NULL) == 0);
	pthread_barrier_wait(&queued);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0); /* merges with the first */
	CHECK(raise(SIGTERM) == 0);
	for (int i = 0; i < QUEUED; i++) {
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, number(i)) == 0);
		CHECK(sigqueue(getpid(), SIGRTMAX, number(-i)) == 0);
	}
	queue_special();
	sigpending(&before);

	test_ready();

	sigpending(&after);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		CHECK_EQ(sigismember(&after, sig), sigismember(&before, sig));
	check_sender(SIGUSR1, SI_USER);
	check_sender(SIGTERM, SI_TKILL);
	check_value(SIGHUP, SI_MESGQ, 0x1234);
	for (int i = 0; i < QUEUED; i++) {
		check_value(SIGRTMIN + 1, SI_QUEUE, i);
		check_value(SIGRTMAX, SI_QUEUE, -i);
	}
	CHECK_EQ(take(SIGALRM).si_code, SI_KERNEL);
	pthread_barrier_wait(&resumed);
	CHECK(pthread_join(other, NULL) == 0);
	sigpending(&after);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		CHECK_EQ(sigismember(&after, sig), 0);
	test_passed();
}

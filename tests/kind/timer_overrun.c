/*
 * A periodic timer whose signal is blocked: every expiry that went by is counted,
 * and the timer goes on.  Of another, timer_getoverrun still tells how many it missed.
 */
#include <signal.h>
#include <sys/syscall.h>

#include "check.h"

static const struct timespec minute = {60, 0};

static siginfo_t await(int sig)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(sigtimedwait(&set, &info, &minute), sig);
	CHECK_EQ(info.si_code, SI_TIMER);
	return info;
}

static int create(clockid_t clock, int sig, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
	int id;

	event.sigev_value.sival_int = value;
	CHECK(syscall(SYS_timer_create, clock, &event, &id) == 0);
	return id;
}

int main(void)
{
	static const struct itimerspec often = {{0, 1000000}, {0, 1000000}};
	/* As if it had been set 20 hours and a half ago. */
	struct itimerspec hourly = {
		.it_value = {time(NULL) - 20 * 3600 - 1800, 0}, .it_interval = {3600, 0},
	};
	int last, periodic, overrun, expiries = 0;
	siginfo_t info;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGTERM);
	CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	last = create(CLOCK_REALTIME, SIGUSR1, 1);
	CHECK(syscall(SYS_timer_settime, last, TIMER_ABSTIME, &hourly, NULL) == 0);
	overrun = await(SIGUSR1).si_overrun;
	CHECK_EQ(overrun, 20);
	periodic = create(CLOCK_MONOTONIC, SIGRTMIN, 2);
	CHECK(syscall(SYS_timer_settime, periodic, 0, &often, NULL) == 0);
	test_nap(300);

	test_ready();

	CHECK_EQ(syscall(SYS_timer_getoverrun, last), overrun);
	/* The count may have been split between two signals, which come in any order. */
	for (int i = 0; i < 2 && expiries < 290; i++) {
		info = await(SIGRTMIN);
		CHECK_EQ(info.si_timerid, periodic);
		CHECK_EQ(info.si_int, 2);
		expiries += 1 + info.si_overrun;
	}
	CHECK(expiries >= 290);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(await(SIGRTMIN).si_timerid, periodic);
	test_passed();
}

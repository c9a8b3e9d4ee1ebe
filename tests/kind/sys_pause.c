/*
 * Shows: threads that wait for a signal in pause, sigsuspend, sigwaitinfo and
 * sigtimedwait: none has come with the checkpoint, each gets its own later.
 */
#include <signal.h>

#include "waiting.h"

static __thread volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled = sig;
}

static sigset_t only(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig)
		sigaddset(&set, sig);
	return set;
}

static void check_mask(sigset_t want)
{
	sigset_t now;

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	for (int sig = 1; sig < NSIG; sig++)
		CHECK_EQ(sigismember(&now, sig), sigismember(&want, sig));
}

static long in_pause(struct waiter *waiter)
{
	long result = pause();

	(void)waiter;
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(handled, SIGUSR1);
	return result;
}

static long in_sigsuspend(struct waiter *waiter)
{
	sigset_t own = only(SIGUSR1), during = only(0);

	(void)waiter;
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	long result = sigsuspend(&during);

	CHECK_EQ(errno, EINTR);
	CHECK_EQ(handled, SIGUSR1);
	check_mask(own);
	return result;
}

static long in_sigwaitinfo(struct waiter *waiter)
{
	sigset_t own = only(SIGRTMIN);
	siginfo_t info;

	(void)waiter;
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	long result = sigwaitinfo(&own, &info);

	CHECK_EQ(info.si_value.sival_int, 4711);
	check_mask(own);
	return result;
}

static long in_sigtimedwait(struct waiter *waiter)
{
	struct timespec timeout = {.tv_sec = SLEEP_SECONDS};
	sigset_t own = only(SIGRTMIN + 1);

	(void)waiter;
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &own, NULL), 0);
	long result = sigtimedwait(&own, NULL, &timeout);
	int error = errno;

	check_mask(own);
	errno = error;
	return result;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler};
	struct waiter waiters[] = {
		{.call = in_pause}, {.call = in_sigsuspend}, {.call = in_sigwaitinfo}};
	struct waiter timed = {.call = in_sigtimedwait};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < 3; i++)
		waiter_start(&waiters[i]);
	waiter_start(&timed);

	test_ready();

	CHECK_TIMED_OUT(&timed, -1);
	CHECK_EQ(timed.error, EAGAIN);
	for (int i = 0; i < 3; i++) {
		await_asleep(waiters[i].tid);
		CHECK(!waiter_ended(&waiters[i]));
	}
	CHECK_EQ(pthread_kill(waiters[0].thread, SIGUSR1), 0);
	CHECK_EQ(pthread_kill(waiters[1].thread, SIGUSR1), 0);
	CHECK_EQ(pthread_sigqueue(waiters[2].thread, SIGRTMIN, (union sigval){4711}), 0);
	CHECK_EQ(waiter_result(&waiters[0]), -1);
	CHECK_EQ(waiter_result(&waiters[1]), -1);
	CHECK_EQ(waiter_result(&waiters[2]), SIGRTMIN);
	test_passed();
}

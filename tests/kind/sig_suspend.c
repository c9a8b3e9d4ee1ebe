/*
 * A thread that waits in sigsuspend and one in pselect with a mask: each is
 * woken by its signal and then has its own mask again.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/select.h>

#include "check.h"

static volatile sig_atomic_t caught_usr1, caught_usr2;
static volatile int waiting;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		caught_usr1++;
	else
		caught_usr2++;
}

/* Both signals are blocked again, and SIGHUP, which only the temporary mask had, is not. */
static void check_mask(void)
{
	sigset_t now;

	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2));
	CHECK(!sigismember(&now, SIGHUP));
}

static void *suspended(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	CHECK(sigsuspend(&set) == -1 && errno == EINTR);
	CHECK_EQ(caught_usr1, 1);
	check_mask();
	return arg;
}

static void *selecting(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	CHECK(pselect(0, NULL, NULL, NULL, NULL, &set) == -1 && errno == EINTR);
	CHECK_EQ(caught_usr2, 1);
	check_mask();
	return arg;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t first, second;
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigaddset(&block, SIGUSR2);
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0 && sigaction(SIGUSR2, &sa, NULL) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, &block, NULL) == 0);
	CHECK(pthread_create(&first, NULL, suspended, NULL) == 0);
	CHECK(pthread_create(&second, NULL, selecting, NULL) == 0);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < 2)
		test_nap(1);
	test_nap(50);

	test_ready();

	CHECK_EQ(caught_usr1 + caught_usr2, 0);
	CHECK(pthread_kill(first, SIGUSR1) == 0);
	CHECK(pthread_kill(second, SIGUSR2) == 0);
	CHECK(pthread_join(first, NULL) == 0 && pthread_join(second, NULL) == 0);
	CHECK_EQ(caught_usr1, 1);
	CHECK_EQ(caught_usr2, 1);
	test_passed();
}

/* A thread that waits in sigwaitinfo goes on waiting, and gets the signal that comes afterwards. */
#include <pthread.h>
#include <signal.h>

#include "check.h"

static volatile int waiting;

static void *waiter(void *arg)
{
	struct timespec long_time = {3600, 0};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	__atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
	/* One call: a return with EINTR would be the checkpoint's doing. */
	CHECK_EQ(sigtimedwait(&set, &info, &long_time), SIGRTMIN);
	CHECK_EQ(info.si_int, 4711);
	return arg;
}

int main(void)
{
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, waiter, NULL) == 0);
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		test_nap(1);
	test_nap(50);

	test_ready();

	CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 4711}) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	test_passed();
}

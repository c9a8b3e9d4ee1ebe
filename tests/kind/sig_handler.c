/* A program that is two signal handlers deep returns from both to what it was doing. */
#include <signal.h>

#include "check.h"

static volatile sig_atomic_t depth, outer_done, inner_done;

static int blocked(int sig)
{
	sigset_t now;

	CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
	return sigismember(&now, sig);
}

static void inner(int sig)
{
	CHECK_EQ(++depth, 2);
	test_ready();
	CHECK_EQ(depth--, 2);
	CHECK(blocked(SIGUSR1) && blocked(sig) && blocked(SIGHUP));
	inner_done = 1;
}

static void outer(int sig)
{
	CHECK_EQ(++depth, 1);
	raise(SIGUSR2);
	CHECK_EQ(depth--, 1);
	CHECK(blocked(sig) && !blocked(SIGUSR2) && !blocked(SIGHUP));
	outer_done = inner_done;
}

int main(void)
{
	struct sigaction first = {.sa_handler = outer}, second = {.sa_handler = inner};
	/* Kept over the handlers in registers that only the signal frame holds by then. */
	double real = 0.1 * getpid();
	long whole = getpid();

	sigaddset(&second.sa_mask, SIGHUP);
	CHECK(sigaction(SIGUSR1, &first, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &second, NULL) == 0);
	__asm__ volatile("" : "+x"(real), "+r"(whole));
	raise(SIGUSR1);
	__asm__ volatile("" : "+x"(real), "+r"(whole));
	CHECK_EQ(outer_done, 1);
	CHECK_EQ(whole, getpid());
	CHECK(real > 0.0999 * getpid() && real < 0.1001 * getpid());
	CHECK(!blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGHUP));
	test_passed();
}

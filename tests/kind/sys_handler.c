/*
 * Shows: a checkpoint within a signal handler within a signal handler, both on
 * the alternate stack: each returns to what it interrupted.
 */
#include <signal.h>
#include <stdbool.h>

#include "check.h"

#define SIZE (64 * 1024)

static char *stack;
static volatile int depth;

static bool on_stack(void)
{
	char *here = __builtin_frame_address(0);

	return here > stack && here < stack + SIZE;
}

static bool blocked(int sig)
{
	sigset_t now;

	CHECK(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
	return sigismember(&now, sig);
}

static void inner(int sig, siginfo_t *info, void *context)
{
	stack_t now;

	(void)context;
	depth = 2;
	test_ready();
	CHECK_EQ(sig, SIGUSR2);
	CHECK(info->si_code == SI_QUEUE && info->si_value.sival_int == 4711);
	CHECK(on_stack() && depth == 2);
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
	CHECK(blocked(SIGUSR1) && blocked(SIGUSR2) && blocked(SIGWINCH));
	depth = 1;
}

static void outer(int sig)
{
	volatile double own = 2.5;

	CHECK(on_stack());
	CHECK(sigqueue(getpid(), SIGUSR2, (union sigval){4711}) == 0);
	CHECK_EQ(sig, SIGUSR1);
	CHECK(on_stack() && own == 2.5 && depth == 1);
	CHECK(blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGWINCH));
	depth = 0;
}

int main(void)
{
	struct sigaction one = {.sa_handler = outer, .sa_flags = SA_ONSTACK};
	struct sigaction two = {.sa_sigaction = inner, .sa_flags = SA_ONSTACK | SA_SIGINFO};
	stack_t alternate = {.ss_sp = stack = malloc(SIZE), .ss_size = SIZE};
	stack_t now;

	sigaddset(&two.sa_mask, SIGWINCH);
	CHECK(stack && sigaltstack(&alternate, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &one, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &two, NULL) == 0);

	/* Returns when both handlers have. */
	CHECK(raise(SIGUSR1) == 0);

	CHECK(!on_stack() && depth == 0);
	CHECK(!blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGWINCH));
	CHECK(sigaltstack(NULL, &now) == 0);
	CHECK(now.ss_sp == stack && now.ss_size == SIZE && now.ss_flags == 0);
	test_passed();
}

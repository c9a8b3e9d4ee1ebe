/* The action of every signal: handler, flags, restorer and mask are the same to the last byte. */
#include <signal.h>
#include <sys/syscall.h>

#include "check.h"

#define SIGNALS 64

/* The kernel's own struct, so that nothing of the C library stands between. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static volatile sig_atomic_t caught, caught_mask_ok;
static struct kernel_sigaction before[SIGNALS + 1], after[SIGNALS + 1];

static void get_action(int sig, struct kernel_sigaction *ret)
{
	CHECK(syscall(SYS_rt_sigaction, sig, NULL, ret, sizeof(ret->mask)) == 0);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	(void)context;
	sigprocmask(SIG_SETMASK, NULL, &now);
	caught_mask_ok = sigismember(&now, SIGHUP) && sigismember(&now, SIGRTMAX);
	caught = info->si_signo == sig ? sig : -1;
}

static void set_action(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = flags};

	sigaddset(&sa.sa_mask, SIGHUP);
	sigaddset(&sa.sa_mask, SIGRTMAX);
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

int main(void)
{
	/* No restorer and an address that nobody maps: kept as it is, being never called. */
	struct kernel_sigaction odd = {(void *)0x123456789000, SA_NODEFER, NULL, 0x55555555};
	static const int flags[] = {
		0, SA_RESTART, SA_NODEFER, SA_ONSTACK, (int)SA_RESETHAND, SA_RESTART | SA_ONSTACK,
	};

	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		set_action(sig, on_signal, SA_SIGINFO | flags[sig % 6]);
	set_action(SIGUSR1, on_signal, SA_SIGINFO);
	set_action(SIGCHLD, NULL /* SIG_DFL */, SA_NOCLDSTOP | SA_NOCLDWAIT);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR2, &odd, NULL, sizeof(odd.mask)) == 0);
	for (int sig = 1; sig <= SIGNALS; sig++)
		get_action(sig, &before[sig]);

	test_ready();

	for (int sig = 1; sig <= SIGNALS; sig++) {
		get_action(sig, &after[sig]);
		if (memcmp(&before[sig], &after[sig], sizeof(after[sig])) != 0)
			fprintf(stderr, "signal %d\n", sig);
		CHECK(memcmp(&before[sig], &after[sig], sizeof(after[sig])) == 0);
	}
	CHECK(raise(SIGPIPE) == 0);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_EQ(caught, SIGUSR1);
	CHECK(caught_mask_ok);
	CHECK(raise(SIGRTMIN + 5) == 0);
	CHECK_EQ(caught, SIGRTMIN + 5);
	test_passed();
}

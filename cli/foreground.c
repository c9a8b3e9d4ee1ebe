#include "foreground.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

/* Signals that are meant for the program when they reach us. */
static const int passed_on[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				SIGUSR2, SIGCONT, SIGALRM, SIGWINCH};

/* A signal handler has no argument for it: whom it passes signals on to.  Set once, before the handlers. */
static volatile pid_t program;

static void pass_on(int sig, siginfo_t *info, void *context)
{
	(void)context;
	/* The terminal has told its whole foreground group already, the program included. */
	if (info->si_code == SI_KERNEL && getpgid(program) == getpgrp())
		return;
	kill(program, sig);
}

static void take_signals(void)
{
	struct sigaction sa = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
		sigaction(passed_on[i], &sa, NULL);
}

/* The terminal goes to the program's group, and comes back. */
static void give_terminal(pid_t group)
{
	void (*before)(int) = signal(SIGTTOU, SIG_IGN);

	if (group > 0 && tcgetpgrp(STDIN_FILENO) > 0)
		tcsetpgrp(STDIN_FILENO, group);
	signal(SIGTTOU, before);
}

/* Ends as the program did: by the same signal, without a core of our own. */
static int end_like(int status)
{
	struct rlimit none = {0, 0};

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

int stay_in_foreground(stasis_process *process)
{
	bool interactive = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	stasis_error *err = NULL;
	int status = 0, r;

	program = stasis_process_pid(process);
	take_signals();
	if (interactive && getsid(program) == getsid(0))
		give_terminal(getpgid(program));
	r = stasis_process_wait(process, &status, &err);
	if (interactive)
		give_terminal(getpgrp());
	stasis_process_free(process);
	return r < 0 ? report("restore", err) : end_like(status);
}

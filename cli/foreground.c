/*
 * The parent of a restored program: signals that reach us reach it, the terminal is its own
 * while it is in the foreground, and what becomes of it becomes of us.
 */
#include "foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

/* Signals that are meant for the program when they reach us. */
static const int passed_on[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				SIGUSR2, SIGCONT, SIGALRM, SIGWINCH};

/*
 * A signal handler has no argument for them: whom it passes signals on to, the controlling terminal
 * (-1: none, or the program has nothing to do with it), and the group that it was given to.
 */
static pid_t *programs, program, given_to;
static size_t copies;
static int terminal = -1;

/* The terminal goes to the program's group when it is ours to give. */
static void give_terminal(void)
{
	pid_t group = getpgid(program);

	if (terminal < 0 || group <= 0 || group == getpgrp())
		return;
	/* The restore has given it already, unless it was another's then. */
	if (tcgetpgrp(terminal) == group ||
	    (tcgetpgrp(terminal) == getpgrp() && tcsetpgrp(terminal, group) == 0))
		given_to = group;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	int errnum = errno;

	(void)context;
	/* fg(1): the shell has given us the terminal. */
	if (sig == SIGCONT)
		give_terminal();
	/* The terminal has told its whole foreground group already, the program included. */
	for (size_t i = 0; i < copies; i++)
		if (programs[i] > 0 && (info->si_code != SI_KERNEL || getpgid(programs[i]) != getpgrp()))
			kill(programs[i], sig);
	errno = errnum;
}

static void take_signals(void)
{
	struct sigaction sa = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t all;

	sigfillset(&sa.sa_mask);
	sigemptyset(&all);
	for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
		sigaction(passed_on[i], &sa, NULL);
		sigaddset(&all, passed_on[i]);
	}
	/* What was blocked before us would never be passed on. */
	sigprocmask(SIG_UNBLOCK, &all, NULL);
}

/* Not from a shell that has taken it meanwhile. */
static void take_terminal_back(void)
{
	void (*before)(int);

	if (!given_to || tcgetpgrp(terminal) != given_to)
		return;
	before = signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(terminal, getpgrp());
	signal(SIGTTOU, before);
}

void remember_terminal(struct terminal_modes *ret)
{
	*ret = (struct terminal_modes){.fd = open("/dev/tty", O_RDWR | O_CLOEXEC)};
	ret->known = ret->fd >= 0 && tcgetattr(ret->fd, &ret->modes) == 0;
}

void mend_terminal(struct terminal_modes *m)
{
	void (*before)(int) = signal(SIGTTOU, SIG_IGN);

	/* Not from a shell that has taken it meanwhile. */
	if (m->known && tcgetpgrp(m->fd) == getpgrp())
		tcsetattr(m->fd, TCSADRAIN, &m->modes);
	signal(SIGTTOU, before);
	if (m->fd >= 0)
		close(m->fd);
}

/* Job control is for programs of our session only: others would not be stopped by our terminal. */
static void open_terminal(void)
{
	if (getsid(program) == getsid(0))
		terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
}

/*
 * The program was stopped by ^Z or the like: so are we, with our whole group, that is the shell's
 * job.  When the shell continues us, the handler of SIGCONT continues the program.
 */
static void stop_too(int sig)
{
	if (terminal < 0)
		return;
	take_terminal_back();
	kill(0, sig);
}

static int wait_for_end(stasis_process *process, int *status, stasis_error **err)
{
	int r;

	while ((r = stasis_process_wait_change(process, status, err)) == 0 && WIFSTOPPED(*status))
		stop_too(WSTOPSIG(*status));
	return r;
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

/* They end in any order; who is waited for first does not matter. */
static int wait_for_all(stasis_process **processes, size_t count, int *ret, stasis_error **err)
{
	int r = 0;

	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		int status = 0, one;

		one = r == 0 ? wait_for_end(processes[i], &status, err) : 0;
		r = one < 0 ? one : r;
		if (*ret == 0)
			*ret = status;
		/* Its number may become another's. */
		programs[i] = 0;
		stasis_process_free(processes[i]);
	}
	return r;
}

int stay_in_foreground(stasis_process **processes, size_t count, struct terminal_modes *modes)
{
	stasis_error *err = NULL;
	int status = 0, r;

	programs = calloc(count, sizeof *programs);
	if (!programs)
		return EXIT_FAILED;
	for (size_t i = 0; i < count; i++)
		programs[i] = stasis_process_pid(processes[i]);
	copies = count;
	program = programs[0];
	drop_capabilities();
	/* A terminal has one foreground: several programs have it no more than their callers' others. */
	if (count == 1)
		open_terminal();
	take_signals();
	give_terminal();
	r = wait_for_all(processes, count, &status, &err);
	take_terminal_back();
	mend_terminal(modes);
	return r < 0 ? report("restore", err) : end_like(status);
}

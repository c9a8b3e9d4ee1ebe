#include "engine/pledge.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"

static void close_all(int *pidfds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close_fdp(&pidfds[i]);
	free(pidfds);
}

static int open_all(const pid_t *pids, size_t count, int **ret, struct error **err)
{
	int *pidfds = calloc(count + 1, sizeof *pidfds);

	if (!pidfds)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		if (pidfds[i] < 0) {
			int r = fail_errno(err, errno, "cannot watch process %d", pids[i]);

			close_all(pidfds, i);
			return r;
		}
	}
	*ret = pidfds;
	return 0;
}

__attribute__((noreturn)) static void watch(int socket, const int *pidfds, size_t count)
{
	sigset_t all;
	ssize_t n;
	char word;

	/* Signals to the tool's process group are its own business. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	do
		n = read(socket, &word, 1);
	while (n < 0 && errno == EINTR);
	for (size_t i = 0; n != 1 && i < count; i++)
		syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0);
	_exit(0);
}

int pledge_make(struct pledge *p, const pid_t *pids, size_t count, struct error **err)
{
	struct clone_args args = {0};
	int pair[2], *pidfds = NULL;
	pid_t pid;
	int r = open_all(pids, count, &pidfds, err);

	*p = PLEDGE_NONE;
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		r = fail_errno(err, errno, "cannot make a socket pair");
		close_all(pidfds, count);
		return r;
	}
	pid = priv_clone3(&args);
	if (pid == 0) {
		close(pair[0]);
		watch(pair[1], pidfds, count);
	}
	close(pair[1]);
	close_all(pidfds, count);
	if (pid < 0) {
		close(pair[0]);
		return fail_errno(err, (int)-pid, "cannot make a process that watches the program");
	}
	*p = (struct pledge){pid, pair[0]};
	return 0;
}

static void finish(struct pledge *p)
{
	close_fdp(&p->socket);
	while (waitpid(p->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	*p = PLEDGE_NONE;
}

int pledge_keep(struct pledge *p, struct error **err)
{
	char word = 0;

	if (!p->pid)
		return 0;
	if (send(p->socket, &word, 1, MSG_NOSIGNAL) != 1)
		return fail_errno(err, errno, "the process that watches the program was ended");
	/* It has some of our descriptors: those of the program are to be nobody else's. */
	finish(p);
	return 0;
}

void pledge_end(struct pledge *p)
{
	if (p->pid)
		finish(p);
}

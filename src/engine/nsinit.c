#include "engine/nsinit.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"
#include "priv/caps.h"
#include "priv/userns.h"

__attribute__((noreturn)) static void report(int socket, int value)
{
	send(socket, &value, sizeof value, MSG_NOSIGNAL);
	_exit(127);
}

/*
 * Only the socket stays.  The lifeline must not be held by us either: a copy
 * of the tool's descriptors would keep files and pipes of the program alive.
 */
static void keep_only(int socket)
{
	if (socket > 0)
		syscall(SYS_close_range, 0, socket - 1, 0);
	syscall(SYS_close_range, socket + 1, ~0U, 0);
}

/* Children of the program that lost their parent come to us. */
__attribute__((noreturn)) static void reap(int socket, pid_t child)
{
	int status, last = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WUNTRACED)) > 0 || errno == EINTR) {
		if (pid != child)
			continue;
		if (WIFSTOPPED(status)) {
			/* Who does not care for it may not read it either: then we do not wait. */
			send(socket, &status, sizeof status, MSG_NOSIGNAL | MSG_DONTWAIT);
			continue;
		}
		last = status;
		/* Nobody listens when the tool left: that is no concern of ours. */
		send(socket, &status, sizeof status, MSG_NOSIGNAL);
		break;
	}
	_exit(WIFEXITED(last) ? WEXITSTATUS(last) : 128 + WTERMSIG(last));
}

__attribute__((noreturn)) static void nsinit_main(int socket, const pid_t *number,
						  void (*run)(const void *arg), const void *arg)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	char byte = 0;
	pid_t pid;

	/*
	 * Of a process that is not dumpable, as a tool with a file capability, nobody may write the
	 * maps.  Safe: over a namespace of our own user that one has all powers anyway.
	 */
	prctl(PR_SET_DUMPABLE, 1);
	/* The tool writes our uid and gid maps first; its death is our end too. */
	if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1 || read(socket, &byte, 1) != 1)
		_exit(127);
	/* A partly covered /proc cannot be mounted anew: then the program sees the host's. */
	priv_mount_private_proc(NULL);
	if (number) {
		args.set_tid = (uint64_t)(uintptr_t)number;
		args.set_tid_size = 1;
	}
	pid = priv_clone3(&args);
	if (pid == 0) {
		close(socket);
		run(arg);
		_exit(127);
	}
	if (pid < 0)
		report(socket, (int)pid);
	keep_only(socket);
	/* Its signals are the program's business: ours is to wait. */
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGCHLD)
			signal(sig, SIG_IGN);
	priv_drop_all(NULL);
	/* Until the program runs the tool's death ends the namespace: EOF comes instead of this byte. */
	if (read(socket, &byte, 1) != 1)
		_exit(127);
	reap(socket, pid);
}

pid_t nsinit_start(const pid_t *number, void (*run)(const void *arg), const void *arg,
		   pid_t *ret_init, int *ret_socket, struct error **err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
				  .exit_signal = SIGCHLD};
	int pair[2], r;
	char byte = 0;
	pid_t init;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a socket pair");
	init = priv_clone3(&args);
	if (init == 0) {
		close(pair[0]);
		nsinit_main(pair[1], number, run, arg);
	}
	close(pair[1]);
	if (init < 0) {
		close(pair[0]);
		return fail_errno(err, (int)-init, "cannot make a private user namespace");
	}
	r = read(pair[0], &byte, 1) != 1
		    ? fail(err, ECHILD, "the private namespace has ended")
		    : priv_enter_userns_maps(init, geteuid(), getegid(), err);
	if (r < 0 || write(pair[0], &byte, 1) != 1) {
		close(pair[0]);
		kill(init, SIGKILL);
		waitpid(init, NULL, 0);
		return r < 0 ? r : fail(err, ECHILD, "the private namespace has ended");
	}
	*ret_init = init;
	*ret_socket = pair[0];
	return init;
}

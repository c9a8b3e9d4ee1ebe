#include "engine/nsinit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"
#include "priv/caps.h"
#include "priv/userns.h"

/* What the init is told once the descriptors are open that the process inherits. */
struct order {
	pid_t number;
	int socket, peer; /* socket -1: it is not to be made, it is there */
};

/*
 * While both share their descriptors each has both ends of the socket, and would never
 * read its end (EOF): that the other one is gone, a pidfd of it tells.
 */
static bool receive(int socket, int other, void *buf, size_t size)
{
	struct pollfd p[] = {
		{.fd = socket, .events = POLLIN},
		{.fd = other, .events = POLLIN},
	};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return p[0].revents && recv(socket, buf, size, MSG_WAITALL) == (ssize_t)size;
}

static bool tell(int socket, const void *buf, size_t size)
{
	return send(socket, buf, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* The descriptors of the tool must not be held by us: they would keep the program's pipes alive. */
static int keep_only(int socket)
{
	if (unshare(CLONE_FILES) < 0)
		return -errno;
	if (socket > 0)
		syscall(SYS_close_range, 0, socket - 1, 0);
	syscall(SYS_close_range, socket + 1, ~0U, 0);
	return 0;
}

/* Who does not care for a report may not read it either: then we do not wait. */
static void report(int socket, int status, bool others)
{
	const struct nsinit_report r = {status, others};

	send(socket, &r, sizeof r, MSG_NOSIGNAL | (WIFSTOPPED(status) ? MSG_DONTWAIT : 0));
}

static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/*
 * Processes of the program that lost their parent come to us.  They go on after its root has ended,
 * as they would have without us: the namespace ends with the last of them.
 */
__attribute__((noreturn)) static void reap(int socket, pid_t root)
{
	int status, last = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WUNTRACED)) > 0 || errno == EINTR) {
		if (pid != root)
			continue;
		report(socket, status, has_children());
		if (WIFSTOPPED(status))
			continue;
		last = status;
		/* Whoever waits for the root waits for its end, not for ours. */
		close(socket);
	}
	_exit(WIFEXITED(last) ? WEXITSTATUS(last) : 128 + WTERMSIG(last));
}

/*
 * Orphans are nobody's to ask for.  What is left when the root has ended is our children then.
 */
__attribute__((noreturn)) static void watch(int socket, int root)
{
	struct pollfd p = {.fd = root, .events = POLLIN};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGCHLD, &ignore, NULL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	while (root >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	report(socket, 0, has_children());
	close(socket);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}

static pid_t make_process(const struct nsinit *n, const struct order *o, const sigset_t *mask,
			  void (*run)(int socket, int peer))
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid;

	if (o->number) {
		args.set_tid = (uint64_t)(uintptr_t)&o->number;
		args.set_tid_size = 1;
	}
	pid = priv_clone3(&args);
	if (pid != 0)
		return pid;
	close(n->far);
	close(n->socket);
	sigprocmask(SIG_SETMASK, mask, NULL);
	run(o->socket, o->peer);
	_exit(127);
}

/* In the init: a process that others have put into the namespace. */
__attribute__((noreturn)) static void adopt(int socket, pid_t number)
{
	int result = keep_only(socket), root;
	char byte;

	root = (int)syscall(SYS_pidfd_open, number, 0);
	if (root < 0)
		result = -errno;
	priv_drop_all(NULL);
	if (!tell(socket, &result, sizeof result) || result < 0 || read(socket, &byte, 1) != 1)
		_exit(127);
	watch(socket, root);
}

__attribute__((noreturn)) static void nsinit_main(const struct nsinit *n,
						  void (*run)(int socket, int peer))
{
	int socket = n->far, result;
	struct order order;
	sigset_t all, mask;
	char byte = 0;
	pid_t pid;

	/* Signals to the tool's process group are its business and the program's. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	/*
	 * Of a process that is not dumpable, as a tool with a file capability, nobody may write the
	 * maps.  Safe: over a namespace of our own user that one has all powers anyway.
	 */
	prctl(PR_SET_DUMPABLE, 1);
	/* The tool writes our uid and gid maps first. */
	if (!tell(socket, &byte, 1) || !receive(socket, n->tool, &byte, 1))
		_exit(127);
	/* A partly covered /proc cannot be mounted anew: then the program sees the host's. */
	priv_mount_private_proc(NULL);
	if (!tell(socket, &byte, 1) || !receive(socket, n->tool, &order, sizeof order))
		_exit(127);
	if (order.socket < 0)
		adopt(socket, order.number);
	pid = make_process(n, &order, &mask, run);
	result = pid < 0 ? (int)pid : keep_only(socket);
	priv_drop_all(NULL);
	if (!tell(socket, &result, sizeof result) || result < 0)
		_exit(127);
	/* Until the program runs the tool's death ends the namespace: EOF comes instead of this byte. */
	if (read(socket, &byte, 1) != 1)
		_exit(127);
	reap(socket, pid);
}

static int clone_init(struct nsinit *n, void (*run)(int socket, int peer), bool private_ipc,
		      struct error **err)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_FILES | CLONE_PIDFD |
			 (private_ipc ? CLONE_NEWIPC : 0),
		.exit_signal = SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)&n->pidfd,
	};
	int pair[2];
	pid_t pid;

	n->tool = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (n->tool < 0)
		return fail_errno(err, errno, "cannot watch the own process");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a socket pair");
	n->socket = pair[0];
	n->far = pair[1];
	pid = priv_clone3(&args);
	if (pid == 0)
		nsinit_main(n, run);
	if (pid < 0)
		return fail_errno(err, (int)-pid, "cannot make a private user namespace");
	n->pid = pid;
	return 0;
}

int nsinit_start(void (*run)(int socket, int peer), bool private_ipc, struct nsinit *ret,
		 struct error **err)
{
	struct nsinit n = NSINIT_NONE;
	char byte = 0;
	int r = clone_init(&n, run, private_ipc, err);

	if (r == 0 && !receive(n.socket, n.pidfd, &byte, 1))
		r = fail(err, ECHILD, "the private namespace has ended");
	if (r == 0)
		r = priv_enter_userns_maps(n.pid, geteuid(), getegid(), err);
	if (r == 0 && (!tell(n.socket, &byte, 1) || !receive(n.socket, n.pidfd, &byte, 1)))
		r = fail(err, ECHILD, "the private namespace has ended");
	if (r < 0) {
		nsinit_end(&n);
		return r;
	}
	*ret = n;
	return 0;
}

int nsinit_root(const struct nsinit *n, struct error **err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/root", n->pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, errno, "cannot open the root of the private namespace") : fd;
}

int nsinit_adopt(struct nsinit *n, pid_t number, struct error **err)
{
	return nsinit_newborn(n, number, -1, -1, err);
}

int nsinit_newborn(struct nsinit *n, pid_t number, int socket, int peer, struct error **err)
{
	const struct order order = {number, socket, peer};
	int result;

	if (!tell(n->socket, &order, sizeof order) ||
	    !receive(n->socket, n->pidfd, &result, sizeof result))
		return fail(err, ECHILD, "the private namespace has ended");
	/* Only the ends that are needed: from now on its death is EOF. */
	close_fdp(&n->far);
	close_fdp(&n->tool);
	if (result < 0)
		return fail_errno(err, -result, "cannot make process %d in a private namespace",
				  number);
	return 0;
}

void nsinit_end(struct nsinit *n)
{
	if (n->pid > 0) {
		kill(n->pid, SIGKILL);
		waitpid(n->pid, NULL, 0);
		n->pid = 0;
	}
	nsinit_free(n);
}

void nsinit_free(struct nsinit *n)
{
	close_fdp(&n->socket);
	close_fdp(&n->pidfd);
	close_fdp(&n->far);
	close_fdp(&n->tool);
}

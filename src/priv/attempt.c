#include "priv/attempt.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"

int attempt_reap(pid_t pid)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	/* A seccomp filter may kill for what it does not permit. */
	return info.si_code == CLD_EXITED ? -info.si_status : -ECANCELED;
}

/* As fork(2), the signals of the child being blocked. */
static pid_t fork_quietly(uint64_t flags)
{
	struct clone_args args = {.flags = flags};
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = priv_clone3(&args);
	if (pid)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	else
		/* A tool with a file capability is not dumpable: its maps would not be its own to write. */
		prctl(PR_SET_DUMPABLE, 1);
	return pid;
}

int attempt_in_child(uint64_t flags, int (*job)(const struct attempt_ids *ids))
{
	const struct attempt_ids ids = {geteuid(), getegid()};
	pid_t pid = fork_quietly(flags);

	if (pid == 0)
		_exit(-job(&ids));
	return pid < 0 ? pid : attempt_reap(pid);
}

int attempt_with(int (*job)(const void *arg), const void *arg)
{
	pid_t pid = fork_quietly(0);

	if (pid == 0)
		_exit(-job(arg));
	return pid < 0 ? pid : attempt_reap(pid);
}

/* Lives until its maker says that it is enough, or is gone. */
__attribute__((noreturn)) static void be_a_peer(int (*prepare)(void), int socket)
{
	int result = prepare ? prepare() : 0;

	if (fd_write(socket, &result, sizeof result) == 0)
		fd_read(socket, &result, sizeof result);
	_exit(0);
}

static int try_on(pid_t peer, int socket, int (*job)(pid_t peer))
{
	int result;
	pid_t pid;

	if (fd_read(socket, &result, sizeof result) != sizeof result)
		return -ECANCELED;
	if (result < 0)
		return result;
	pid = fork_quietly(0);
	if (pid == 0)
		_exit(-job(peer));
	return pid < 0 ? pid : attempt_reap(pid);
}

int attempt_on_peer(int (*prepare)(void), int (*job)(pid_t peer))
{
	cleanup_close int own = -1;
	int ends[2], result;
	pid_t peer;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	own = ends[0];
	peer = fork_quietly(0);
	if (peer == 0) {
		close(own);
		be_a_peer(prepare, ends[1]);
	}
	close(ends[1]);
	if (peer < 0)
		return peer;
	result = try_on(peer, own, job);
	/* It cannot always be killed: it may have become somebody else. */
	shutdown(own, SHUT_RDWR);
	attempt_reap(peer);
	return result;
}

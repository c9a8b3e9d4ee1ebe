#include "engine/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/nsinit.h"
#include "inject/trace.h"
#include "kind/kind.h"
#include "priv/calls.h"
#include "priv/caps.h"

#define RESTORE_OPTIONS                                                            \
	((unsigned long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD |               \
			 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC))

static bool number_is_taken(uint32_t pid, char **ret_name)
{
	cleanup_free char *path = str_format("/proc/%u/comm", pid);

	*ret_name = NULL;
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return false;
	if (path && fd_slurp(AT_FDCWD, path, ret_name) > 0)
		(*ret_name)[strcspn(*ret_name, "\n")] = '\0';
	return true;
}

/* All numbers of the tree that somebody has: adds an obstacle for each; returns how many. */
static size_t taken_numbers(const struct rebuild *r, struct error **err)
{
	size_t taken = 0;

	vec_each(t, &r->tasks)
		vec_each(th, &(*t)->threads) {
			cleanup_free char *name = NULL;

			if (!number_is_taken(th->record->tid, &name))
				continue;
			taken++;
			refuse(err, EEXIST,
			       "end that process, or use --pid=private or --pid=new",
			       "the number %u of the program is in use by %s", th->record->tid,
			       name ? name : "another process");
		}
	return taken;
}

int plan_numbers(struct rebuild *r, struct priv *priv, struct birth *ret, struct error **err)
{
	enum pid_policy policy = r->options->pid_policy;
	bool same = priv_may(priv, PRIV_EXACT_PID), taken;

	*ret = (struct birth){.parent_socket = -1, .lifeline = -1};
	if (policy == PID_NEW)
		return 0;
	ret->exact = true;
	taken = policy != PID_PRIVATE &&
		taken_numbers(r, policy == PID_SAME ? err : NULL) > 0;
	if (policy == PID_SAME) {
		if (!same)
			return refuse(err, EPERM,
				      "give the tool CAP_CHECKPOINT_RESTORE, or use --pid=private or "
				      "--pid=new",
				      "the kernel does not let you choose process numbers");
		return taken ? -EEXIST : 0;
	}
	if (policy == PID_AUTO && same && !taken)
		return 0;
	r->private_pids = true;
	if (priv_may(priv, PRIV_USER_NAMESPACE))
		return 0;
	return refuse(err, EPERM,
		      "allow user namespaces (sysctl user.max_user_namespaces, "
		      "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), "
		      "give the tool CAP_CHECKPOINT_RESTORE, or use --pid=new",
		      "the program cannot have its old number: %s, and private user namespaces are "
		      "not allowed here",
		      same ? "it is in use" : "the kernel does not let you choose numbers");
}

/* What the newborn needs to know; it must not allocate (its maker may have threads). */
struct newborn {
	int socket;      /* to the tool */
	int peer;        /* the tool's end, inherited: to be closed */
	int executable;
	bool new_session, new_group, keep_capability;
	unsigned long personality;
	const int *inherited;
	size_t inherited_count;
};

__attribute__((noreturn)) static void newborn_fails(int socket, int errnum)
{
	send(socket, &errnum, sizeof errnum, MSG_NOSIGNAL);
	_exit(127);
}

/* In the new process: until it is traced and told to, it does nothing. */
__attribute__((noreturn)) static void newborn_main(const struct newborn *n)
{
	static char *const argv[] = {(char *)"stasis", NULL}, *const envp[] = {NULL};
	char byte = 0;

	/*
	 * A tool that has gained a capability by execve(2) is not dumpable, nor are its children: we
	 * could not be traced.  Safe: whoever traces us needs all the capabilities that we have.
	 */
	prctl(PR_SET_DUMPABLE, 1);
	/* The other end is the tool's alone now: its death is EOF here. */
	close(n->peer);
	if (send(n->socket, &byte, 1, MSG_NOSIGNAL) != 1 || read(n->socket, &byte, 1) != 1)
		_exit(127);
	if (n->new_session)
		setsid();
	else if (n->new_group)
		setpgid(0, 0);
	for (size_t i = 0; i < n->inherited_count; i++)
		fcntl(n->inherited[i], F_SETFD, 0);
	if (n->keep_capability)
		priv_keep_over_exec(CAP_CHECKPOINT_RESTORE, NULL);
	personality(n->personality);
	syscall(SYS_execveat, n->executable, "", argv, envp, AT_EMPTY_PATH);
	newborn_fails(n->socket, errno);
}

static void newborn_run(const void *arg)
{
	newborn_main(arg);
}

/* The kernel tells the sender's number as it is in our namespace. */
static int receive_newborn(int socket, pid_t *ret, struct error **err)
{
	union {
		char buf[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof control.buf};
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return fail(err, ECHILD, "the new process ended before it began");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof cred);
			*ret = cred.pid;
			return 0;
		}
	return fail(err, EPROTO, "the kernel did not tell the number of the new process");
}

/* Seizes the newborn, lets it execute the file, and leaves it before its first instruction. */
static int follow_exec(pid_t pid, int socket, struct error **err)
{
	struct stop stop;
	char byte = 0;
	int errnum = 0, r;

	r = trace_seize(pid, RESTORE_OPTIONS, err);
	if (r < 0)
		return r;
	if (write(socket, &byte, 1) != 1)
		return fail(err, ECHILD, "the new process has ended");
	for (;;) {
		r = trace_wait(pid, &stop);
		if (r < 0 || stop.kind == STOP_GONE) {
			if (recv(socket, &errnum, sizeof errnum, MSG_DONTWAIT) == sizeof errnum)
				return fail_errno(err, errnum, "cannot execute the program's file");
			return fail(err, ECHILD, "the new process has ended");
		}
		if (stop.kind == STOP_EVENT && stop.event == PTRACE_EVENT_EXEC)
			break;
		trace_continue(pid, stop.kind == STOP_SIGNAL ? stop.signal : 0);
	}
	/* Out of the system call: what is set within it, its end would overwrite. */
	if (trace_interrupt(pid) < 0 || trace_continue(pid, 0) < 0 || trace_wait(pid, &stop) < 0 ||
	    stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "the new process has ended");
	return 0;
}

static pid_t make_newborn(const struct rebuild *r, const struct newborn *n, const pid_t *number,
			  struct birth *b, struct error **err)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid;

	if (number) {
		args.set_tid = (uint64_t)(uintptr_t)number;
		args.set_tid_size = 1;
	}
	if (r->private_pids)
		return nsinit_start(number, newborn_run, n, &b->parent, &b->parent_socket, err);
	/* A number that was freed a moment ago can be in use for some 50 ms more. */
	for (int tries = 0; tries < 100; tries++) {
		pid = priv_clone3(&args);
		if (pid != -EEXIST)
			break;
		usleep(2000);
	}
	if (pid == 0)
		newborn_main(n);
	if (pid < 0)
		return number ? fail_errno(err, (int)-pid, "cannot make process %d", *number)
			      : fail_errno(err, (int)-pid, "cannot make a process");
	return pid;
}

/* A session can be led anew only without the terminal that it had: then it keeps ours. */
static void plan_groups(const struct rebuild *r, const struct rebuilt_task *t, struct newborn *n)
{
	bool has_terminal = false;

	vec_each(f, &r->files)
		if (strcmp(f->kind->name, "terminal") == 0)
			has_terminal = true;
	n->new_session = t->record->sid == t->record->pid && !has_terminal;
	n->new_group = t->record->pgid == t->record->pid;
}

static int collect_inherited(const struct rebuild *r, int **ret, size_t *ret_count)
{
	int *fds = calloc(r->files.count + 1, sizeof *fds);
	size_t n = 0;

	if (!fds)
		return -ENOMEM;
	vec_each(f, &r->files)
		if (f->fd >= 0)
			fds[n++] = f->fd;
	*ret = fds;
	*ret_count = n;
	return 0;
}

int give_birth(struct rebuild *r, struct rebuilt_task *t, struct birth *b, struct error **err)
{
	const struct rebuilt_file *exe = rebuilt_file(r, t->record->executable);
	struct newborn n = {.executable = exe->fd,
			    .personality = t->record->personality,
			    .keep_capability = b->exact};
	pid_t number = (pid_t)t->record->pid, maker;
	int *inherited, pair[2], on = 1, res;

	if (exe->fd < 0)
		return fail(err, EBADF, "the program's executable is not open");
	if (collect_inherited(r, &inherited, &n.inherited_count) < 0)
		return fail(err, ENOMEM, "out of memory");
	n.inherited = inherited;
	plan_groups(r, t, &n);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(inherited);
		return fail_errno(err, errno, "cannot make a socket pair");
	}
	n.socket = pair[1];
	n.peer = pair[0];
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	maker = make_newborn(r, &n, b->exact ? &number : NULL, b, err);
	close(pair[1]);
	free(inherited);
	if (maker < 0) {
		close(pair[0]);
		return maker;
	}
	res = receive_newborn(pair[0], &t->pid, err);
	if (res == 0)
		res = follow_exec(t->pid, pair[0], err);
	close(pair[0]);
	t->ns_pid = b->exact ? number : t->pid;
	return res;
}

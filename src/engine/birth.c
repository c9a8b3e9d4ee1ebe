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
#include "inject/inject.h"
#include "engine/filters.h"
#include "inject/trace.h"
#include "kind/kind.h"
#include "priv/calls.h"
#include "priv/caps.h"

unsigned long birth_trace_options(const struct rebuild *r)
{
	return (unsigned long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
			       PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) |
	       filters_restore_options(r);
}

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

static bool refuse_taken(uint32_t number, struct error **err)
{
	cleanup_free char *name = NULL;

	if (!number_is_taken(number, &name))
		return false;
	refuse(err, EEXIST, "end that process, or use --pid=private or --pid=new",
	       "the number %u of the program is in use by %s", number,
	       name ? name : "another process");
	return true;
}

/* All numbers of the tree that somebody has: adds an obstacle for each; returns how many. */
static size_t taken_numbers(const struct rebuild *r, struct error **err)
{
	size_t taken = 0;

	vec_each(t, &r->tasks) {
		if ((*t)->record->zombie)
			taken += refuse_taken((*t)->record->pid, err);
		vec_each(th, &(*t)->threads)
			taken += refuse_taken(th->record->tid, err);
	}
	vec_each(t, &r->stand_ins)
		taken += refuse_taken((*t)->record->pid, err);
	return taken;
}

/* What a kind has in the IPC namespace cannot be had in ours. */
static bool ipc_taken(struct rebuild *r)
{
	bool taken = false;

	vec_each(f, &r->files)
		if (f->kind->file->taken && f->kind->file->taken(r, f->message))
			taken = true;
	vec_each(s, &r->states)
		if (s->kind->state->taken && s->kind->state->taken(r, s->message))
			taken = true;
	return taken;
}

static bool has_ipc(const struct rebuild *r)
{
	vec_each(f, &r->files)
		if (f->kind->file->taken)
			return true;
	vec_each(s, &r->states)
		if (s->kind->state->taken)
			return true;
	return false;
}

int plan_numbers(struct rebuild *r, struct priv *priv, struct birth *ret, struct error **err)
{
	enum pid_policy policy = r->options->pid_policy;
	bool same = priv_may(priv, PRIV_EXACT_PID), elsewhere = ipc_taken(r), taken;

	*ret = (struct birth){.init = NSINIT_NONE};
	/* One of many: it has nothing to do with what the others have. */
	if (r->options->copies > 1 && policy == PID_AUTO)
		policy = PID_PRIVATE;
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
	if (policy == PID_AUTO && same && !taken && !elsewhere)
		return 0;
	r->private_pids = true;
	r->private_ipc = r->options->copies > 1 ? has_ipc(r) : ipc_taken(r);
	if (priv_may(priv, PRIV_USER_NAMESPACE))
		return 0;
	return refuse(err, EPERM,
		      "allow user namespaces (sysctl user.max_user_namespaces, "
		      "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), "
		      "give the tool CAP_CHECKPOINT_RESTORE, or use --pid=new",
		      "the program cannot have its old number: %s, and private user namespaces are "
		      "not allowed here",
		      !same   ? "the kernel does not let you choose numbers"
		      : taken ? "it is in use"
			      : "its System V objects or message queues need a place of their own");
}

/* What the newborn is told, and after it the numbers of the descriptors that it keeps. */
struct orders {
	int executable;
	bool keep_capability;
	unsigned long personality;
	size_t inherited;
};

__attribute__((noreturn)) static void newborn_fails(int socket, int errnum)
{
	send(socket, &errnum, sizeof errnum, MSG_NOSIGNAL);
	_exit(127);
}

static bool receive_orders(int socket, struct orders *o)
{
	int fds[256];
	size_t n;

	if (fd_read(socket, o, sizeof *o) != sizeof *o)
		return false;
	for (size_t left = o->inherited; left; left -= n) {
		n = left < 256 ? left : 256;
		if (fd_read(socket, fds, n * sizeof fds[0]) != (ssize_t)(n * sizeof fds[0]))
			return false;
		for (size_t i = 0; i < n; i++)
			fcntl(fds[i], F_SETFD, 0);
	}
	return true;
}

/*
 * In the new process: until it is traced and told to, it does nothing.  It must not allocate,
 * since its maker may have threads.
 */
__attribute__((noreturn)) static void newborn_main(int socket, int peer)
{
	static char *const argv[] = {(char *)"stasis", NULL}, *const envp[] = {NULL};
	struct orders o;
	char byte = 0;

	/*
	 * A tool that has gained a capability by execve(2) is not dumpable, nor are its children: we
	 * could not be traced.  Safe: whoever traces us needs all the capabilities that we have.
	 */
	prctl(PR_SET_DUMPABLE, 1);
	/* The other end is the tool's alone now: its death is EOF here. */
	close(peer);
	if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1 || !receive_orders(socket, &o) ||
	    fd_read(socket, &byte, 1) != 1)
		_exit(127);
	/* What its maker ignores, execve(2) would hand on, to be found in a child that ends. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (o.keep_capability)
		priv_keep_over_exec(CAP_CHECKPOINT_RESTORE, NULL);
	personality(o.personality);
	syscall(SYS_execveat, o.executable, "", argv, envp, AT_EMPTY_PATH);
	newborn_fails(socket, errno);
}

int prepare_birth(struct rebuild *r, struct birth *b, struct error **err)
{
	int res;

	if (!r->private_pids)
		return 0;
	res = nsinit_start(newborn_main, r->private_ipc, &b->init, err);
	if (res < 0)
		return res;
	res = nsinit_root(&b->init, err);
	if (res < 0)
		return res;
	r->root = res;
	if (r->private_ipc)
		r->within = b->init.pidfd;
	return 0;
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

static int tell(int socket, const void *buf, size_t size, struct error **err)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = send(socket, (const char *)buf + done, size - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return fail(err, ECHILD, "the new process has ended");
		done += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* Seizes the newborn, lets it execute the file, and leaves it before its first instruction. */
static int follow_exec(const struct rebuild *rebuild, pid_t pid, int socket, struct error **err)
{
	struct stop stop;
	char byte = 0;
	int errnum = 0, r;

	r = trace_seize(pid, birth_trace_options(rebuild), err);
	if (r < 0)
		return r;
	r = tell(socket, &byte, 1, err);
	if (r < 0)
		return r;
	for (;;) {
		r = trace_wait_near(pid, &stop);
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
	if (trace_interrupt(pid) < 0 || trace_continue(pid, 0) < 0 || trace_wait_near(pid, &stop) < 0 ||
	    stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "the new process has ended");
	return 0;
}

static int make_newborn(pid_t number, int socket, int peer, struct birth *b, struct error **err)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid;

	if (b->init.pid)
		return nsinit_newborn(&b->init, number, socket, peer, err);
	if (number) {
		args.set_tid = (uint64_t)(uintptr_t)&number;
		args.set_tid_size = 1;
	}
	/* A number that was freed a moment ago can be in use for some 50 ms more. */
	for (int tries = 0; tries < 100; tries++) {
		pid = priv_clone3(&args);
		if (pid != -EEXIST)
			break;
		usleep(2000);
	}
	if (pid == 0)
		newborn_main(socket, peer);
	if (pid < 0)
		return number ? fail_errno(err, (int)-pid, "cannot make process %d", number)
			      : fail_errno(err, (int)-pid, "cannot make a process");
	return 0;
}

bool keeps_session(const struct rebuild *r)
{
	const Rec__Task *root = r->tasks.items[0]->record;

	if (root->terminal)
		return false;
	vec_each(f, &r->files) {
		const Rec__Terminal *m = (const Rec__Terminal *)f->message;

		if (strcmp(f->kind->name, "terminal") == 0 && m->controlling && !m->master)
			return true;
	}
	return false;
}

static int send_orders(const struct rebuild *r, struct orders *o, int socket, struct error **err)
{
	int *fds = calloc(r->files.count + 2, sizeof *fds), res;

	if (!fds)
		return fail(err, ENOMEM, "out of memory");
	o->inherited = 0;
	vec_each(f, &r->files)
		if (f->fd >= 0)
			fds[o->inherited++] = f->fd;
	if (r->late_socket[1] >= 0)
		fds[o->inherited++] = r->late_socket[1];
	res = tell(socket, o, sizeof *o, err);
	if (res == 0)
		res = tell(socket, fds, o->inherited * sizeof *fds, err);
	free(fds);
	return res;
}

int open_newborn(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	cleanup_free char *path = str_format("/proc/%d", t->pid);

	if (t->proc < 0)
		t->proc = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	t->mem = t->proc < 0 ? -1 : priv_open_newborn(t->proc, "mem", O_RDWR, r->private_pids);
	return t->mem < 0 ? fail_errno(err, errno, "cannot open the memory of the new process") : 0;
}

int give_birth(struct rebuild *r, struct rebuilt_task *t, struct birth *b, struct error **err)
{
	const struct rebuilt_file *exe = rebuilt_file(r, t->record->executable);
	struct orders o = {.executable = exe->fd,
			   .personality = t->record->personality,
			   /* With new process numbers, too: System V objects have theirs. */
			   .keep_capability = true};
	pid_t number = b->exact ? (pid_t)t->record->pid : 0;
	cleanup_close int socket = -1;
	int pair[2], on = 1, res;

	if (exe->fd < 0)
		return fail(err, EBADF, "the program's executable is not open");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a socket pair");
	socket = pair[0];
	setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	res = make_newborn(number, pair[1], socket, b, err);
	close(pair[1]);
	if (res == 0)
		res = receive_newborn(socket, &t->pid, err);
	if (res == 0)
		pin_newborn(&b->pin, t->pid);
	/* Before it is seized: a stopped process would not read. */
	if (res == 0)
		res = send_orders(r, &o, socket, err);
	if (res == 0)
		res = follow_exec(r, t->pid, socket, err);
	t->ns_pid = number ? number : t->pid;
	if (res == 0)
		res = open_newborn(r, t, err);
	t->injection = res == 0 ? calloc(1, sizeof *t->injection) : NULL;
	return res == 0 && !t->injection ? fail(err, ENOMEM, "out of memory") : res;
}

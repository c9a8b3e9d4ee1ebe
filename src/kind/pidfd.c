/*
 * pidfd_open(2): a descriptor that stands for a process.
 *
 * One of a member of the tree, also of one that is a zombie, stands for the same member
 * again.  One of a process that has ended and was waited for says so for ever: a child of
 * the tool that ends the same way takes its place (which is not of a private namespace: there
 * pidfd_send_signal(2) says EINVAL instead of ESRCH).  Any other process is not ours to bring back.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

/* struct pidfd_info, as it was when it could first tell how a process ended (Linux 6.15). */
struct end_info {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t numbers_and_ids[12];
	int32_t wait_status;
};
#define GET_END_INFO _IOWR(0xFF, 11, struct end_info)
#define END_INFO_STATUS (1u << 3)

extern const struct kind kind_pidfd;

static bool pidfd_claims(const struct file *f)
{
	return f->link && (!strcmp(f->link, "anon_inode:[pidfd]") || str_starts(f->link, "pidfd:")) &&
	       (f->info.lines & FDINFO_PIDFD);
}

static const struct task *member(const struct capture *c, pid_t pid)
{
	vec_each(t, &c->tree.tasks)
		if ((*t)->pid == pid)
			return *t;
	return NULL;
}

static bool is_thread(const struct capture *c, pid_t tid)
{
	vec_each(t, &c->tree.tasks)
		vec_each(th, &(*t)->threads)
			if ((*th)->tid == tid)
				return true;
	return false;
}

static int capture_member(const struct capture *c, const struct file *f, Rec__PidFd *m,
			  struct error **err)
{
	pid_t pid = f->info.pidfd_pid;
	const struct task *task = member(c, pid);
	char name[17];

	if (task) {
		m->pid = (uint32_t)task->ns_pid;
		return 0;
	}
	if (is_thread(c, pid))
		return refuse(err, ENOTSUP, "close it",
			      "descriptor %d is a pidfd of thread %d, and only those of processes are "
			      "supported", f->fd, pid);
	if (pid == 0)
		return refuse(err, ENOTSUP, "close it",
			      "descriptor %d is a pidfd of a process in another pid namespace", f->fd);
	holder_name(pid, name);
	return refuse(err, ENOTSUP, "close it, or checkpoint a parent of both",
		      "descriptor %d is a pidfd of process %d (%s), which is not part of what is "
		      "checkpointed", f->fd, pid, name);
}

/* What is known of the end of a process that nobody can wait for any more. */
static void capture_end(const struct file *f, Rec__PidFd *m)
{
	struct end_info info = {.mask = END_INFO_STATUS};

	m->object = f->st.st_ino;
	if (ioctl(f->own, GET_END_INFO, &info) == 0 && (info.mask & END_INFO_STATUS))
		m->wait_status = (uint32_t)info.wait_status & 0xff7f; /* no core is dumped again */
}

static int pidfd_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			 struct error **err)
{
	Rec__PidFd *m = kind_message(&kind_pidfd);
	int r = 0;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	if (f->info.pidfd_pid < 0)
		capture_end(f, m);
	else
		r = capture_member(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

static int pidfd_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__PidFd *m = (const Rec__PidFd *)message;

	if (m->pid > INT32_MAX || (m->pid && (m->object || m->wait_status)))
		return fail(err, EINVAL, "a pidfd of an impossible process");
	if (!WIFEXITED(m->wait_status) && !WIFSIGNALED(m->wait_status))
		return fail(err, EINVAL, "a pidfd of a process that did not end");
	return 0;
}

static int pidfd_check(const struct rebuild *r, const ProtobufCMessage *message, struct error **err)
{
	const Rec__PidFd *m = (const Rec__PidFd *)message;

	if (m->pid && !rebuilt_task(r, m->pid))
		return refuse(err, EINVAL, NULL,
			      "the image has a pidfd of process %u, and not that process", m->pid);
	return 0;
}

static int open_pidfd(pid_t pid, const Rec__File *file)
{
	return (int)syscall(SYS_pidfd_open, pid, file->flags & (O_NONBLOCK | PIDFD_THREAD));
}

/* In a child that shares nothing and must not allocate, since its maker may have threads. */
__attribute__((noreturn)) static void end_as(uint32_t status)
{
	const struct rlimit none = {0};
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t all;
	int sig = WTERMSIG(status);

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &none);
	sigaction(sig, &sa, NULL);
	sigfillset(&all);
	sigdelset(&all, sig);
	sigprocmask(SIG_SETMASK, &all, NULL);
	kill((pid_t)syscall(SYS_getpid), sig);
	_exit(128 + sig);
}

static bool same_end(const struct rebuilt_file *f, const Rec__PidFd *m)
{
	const Rec__PidFd *other = (const Rec__PidFd *)f->message;

	return f->kind == &kind_pidfd && f->fd < 0 && !other->pid && other->object == m->object;
}

/* All that stand for one process are opened while it can still be waited for. */
static int open_ended(struct rebuild *r, const Rec__PidFd *m, struct error **err)
{
	/* No signal tells of its end: the tool may be anybody's. */
	struct clone_args args = {0};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	siginfo_t info;
	int res = 0;

	if (pid == 0)
		end_as(m->wait_status);
	if (pid < 0)
		return fail_errno(err, errno, "cannot make a process for a pidfd of an ended one");
	vec_each(f, &r->files) {
		if (res < 0 || !same_end(f, m))
			continue;
		f->fd = open_pidfd(pid, kind_file(f->message));
		if (f->fd < 0)
			res = fail_errno(err, errno, "cannot open a pidfd");
	}
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	return res;
}

static int pidfd_open_late(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__PidFd *m = (const Rec__PidFd *)f->message;
	const struct rebuilt_task *t = m->pid ? rebuilt_task(r, m->pid) : NULL;
	int res = 0;

	if (t) {
		f->fd = open_pidfd(t->pid ? t->pid : t->ended_pid, m->file);
		if (f->fd < 0)
			return fail_errno(err, errno, "cannot open a pidfd of process %u", m->pid);
	} else if (f->fd < 0) {
		res = open_ended(r, m, err);
	}
	if (res < 0)
		return res;
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

const struct kind kind_pidfd = {
	.name = "pidfd",
	.tag = 160,
	.schema = &rec__pid_fd__descriptor,
	.file = &(const struct file_ops){
		.claims = pidfd_claims,
		.capture = pidfd_capture,
		.validate = pidfd_validate,
		.check = pidfd_check,
		.open_late = pidfd_open_late,
	},
};

#include "engine/seize.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/timeout.h"
#include "inject/trace.h"

/* Never PTRACE_O_EXITKILL here: a target outlives us. */
#define CAPTURE_OPTIONS ((unsigned long)PTRACE_O_TRACESYSGOOD)

static struct thread *find_thread(struct task *task, pid_t tid)
{
	vec_each(t, &task->threads)
		if ((*t)->tid == tid)
			return *t;
	return NULL;
}

static int add_thread(struct task *task, pid_t tid, struct error **err)
{
	struct thread *t = calloc(1, sizeof *t), **slot;
	int r;

	slot = t ? vec_push(&task->threads) : NULL;
	if (!slot) {
		free(t);
		return fail(err, ENOMEM, "out of memory");
	}
	*t = (struct thread){.task = task, .tid = tid};
	*slot = t;
	r = trace_seize(tid, CAPTURE_OPTIONS, err);
	t->attached = r == 0;
	return r;
}

static void drop_thread(struct task *task, size_t i)
{
	free(task->threads.items[i]);
	memmove(&task->threads.items[i], &task->threads.items[i + 1],
		(--task->threads.count - i) * sizeof(struct thread *));
}

/* Seizes every thread that is not yet ours; they run on.  Returns how many were new. */
static int seize_new_threads(struct task *task, struct error **err)
{
	int fd = openat(task->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0, r;
	struct dirent *e;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		close_fdp(&fd);
		return fail(err, ESRCH, "process %d has ended", task->pid);
	}
	while ((e = readdir(dir))) {
		pid_t tid = (pid_t)atoi(e->d_name);
		struct error *inner = NULL;

		if (tid <= 0 || find_thread(task, tid))
			continue;
		r = add_thread(task, tid, &inner);
		if (r == -ESRCH && tid != task->pid) {
			/* It ended between the listing and the seizing; that is its right. */
			error_free(inner);
			drop_thread(task, task->threads.count - 1);
			continue;
		}
		if (r < 0) {
			error_merge(err, &inner);
			closedir(dir);
			return r;
		}
		found++;
	}
	closedir(dir);
	return found;
}

/* Milliseconds.  A thread within vfork(2) or a lost network file system may not stop for ages. */
#define STOP_PATIENCE 5000

/*
 * Interrupts every thread that is not yet, and only when all of them were looked at: looking
 * takes longer, and meanwhile the program runs.  Returns how many there were.
 */
static int interrupt_new_threads(struct task *task, struct error **err)
{
	size_t i = task->threads.count;
	int found = seize_new_threads(task, err);

	for (size_t k = i; k < task->threads.count; k++)
		timeout_observe(task->threads.items[k]);
	while (found > 0 && i < task->threads.count) {
		pid_t tid = task->threads.items[i]->tid;

		if (trace_interrupt(tid) == 0)
			i++;
		else if (tid != task->pid)
			drop_thread(task, i);
		else
			return fail(err, ESRCH, "process %d has ended", tid);
	}
	return found;
}

/* A signal that was just being delivered is delivered; the interrupt comes right after. */
static int wait_until_stopped(struct thread *t)
{
	struct stop stop;

	for (;;) {
		int r = trace_wait_for(t->tid, STOP_PATIENCE, &stop);

		if (r == -ETIMEDOUT)
			return r;
		if (r < 0 || stop.kind == STOP_GONE)
			return -ESRCH;
		if (stop.kind == STOP_INTERRUPT || stop.kind == STOP_GROUP) {
			t->group_stop = stop.kind == STOP_GROUP ? stop.signal : 0;
			return mend_interrupted(t);
		}
		r = trace_continue(t->tid, stop.kind == STOP_SIGNAL ? stop.signal : 0);
		if (r < 0)
			return r;
	}
}

int seize_task(struct task *task, struct error **err)
{
	size_t stopped = 0;
	int r;

	/* All are interrupted before the first is waited for: one by one, spinning threads take ages. */
	while ((r = interrupt_new_threads(task, err)) > 0) {
		while (stopped < task->threads.count) {
			struct thread *t = task->threads.items[stopped];

			r = wait_until_stopped(t);
			if (r == 0) {
				stopped++;
				continue;
			}
			if (r == -ETIMEDOUT) {
				release_task(task, 0);
				return refuse(err, EBUSY, "try again once that has ended",
					      "thread %d of process %d does not stop: it waits in the "
					      "kernel where nothing wakes it (vfork(2), a dead disk)",
					      t->tid, task->pid);
			}
			if (t->tid == task->pid) {
				t->attached = false;
				release_task(task, 0);
				return fail(err, ESRCH, "process %d ended while it was being stopped",
					    task->pid);
			}
			drop_thread(task, stopped);
		}
	}
	if (r < 0) {
		/* Only who stands still can be let go. */
		for (size_t i = stopped; i < task->threads.count; i++) {
			struct thread *t = task->threads.items[i];

			if (t->attached && trace_interrupt(t->tid) == 0)
				wait_until_stopped(t);
		}
		release_task(task, 0);
	}
	return r;
}

void release_task(struct task *task, int signal)
{
	/* PTRACE_DETACH hands a signal over only at a stop for a signal; this is none. */
	if (signal)
		kill(task->pid, signal);
	/* Backwards: the main thread last. */
	for (size_t i = task->threads.count; i-- > 0;) {
		struct thread *t = task->threads.items[i];

		if (t->attached)
			trace_detach(t->tid, 0);
		t->attached = false;
	}
}

struct dispatch_config {
	uint64_t mode, selector, offset, len;
};
#define GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211 /* Linux 6.4 */

/* A thread in which a system call of ours could be answered by a signal, or by the end of it all. */
static int check_injectable(const struct thread *t, struct error **err)
{
	struct dispatch_config c = {0};

	if (t->status.seccomp)
		return refuse(err, EPERM, "run it without the filter",
			      "thread %d of process %d runs under a seccomp %s, which could kill it for "
			      "what a checkpoint asks of it",
			      t->tid, t->task->pid,
			      t->status.seccomp == 1 ? "strict mode" : "filter");
	if (ptrace(GET_SYSCALL_USER_DISPATCH_CONFIG, t->tid, (void *)sizeof c, &c) == 0 && c.mode)
		return refuse(err, ENOTSUP, NULL,
			      "thread %d of process %d has its system calls dispatched to itself "
			      "(PR_SET_SYSCALL_USER_DISPATCH), which is not supported",
			      t->tid, t->task->pid);
	return 0;
}

static int read_thread(struct thread *t, struct error **err)
{
	cleanup_free char *name = str_format("task/%d/status", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp(t->task, name, &text) : -ENOMEM;

	if (n < 0 || status_parse(text, (size_t)n, &t->status) < 0)
		return fail(err, ESRCH, "thread %d has ended", t->tid);
	timeout_recheck(t, text, (size_t)n);
	t->ns_tid = t->status.ns_pid.count ? t->status.ns_pid.items[t->status.ns_pid.count - 1]
					   : t->tid;
	if (arch_get_regs(t->tid, &t->regs) < 0 || trace_get_sigmask(t->tid, &t->sigmask) < 0)
		return fail(err, ESRCH, "thread %d has ended", t->tid);
	if (!arch_is_native(&t->regs))
		return refuse(err, ENOTSUP, NULL,
			      "thread %d runs 32-bit code, which is not supported", t->tid);
	t->saved = t->regs;
	return check_injectable(t, err);
}

/* unshare(2) can take a thread out of what the image knows once for the whole process. */
static int check_shares(const struct task *task, const struct thread *t, struct error **err)
{
	static const struct {
		int what;
		const char *name;
	} shares[] = {
		{KCMP_FILES, "descriptor table"},
		{KCMP_FS, "working directory"},
	};

	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		if (syscall(SYS_kcmp, task->pid, t->tid, shares[i].what, 0, 0) > 0)
			return refuse(err, ENOTSUP, NULL,
				      "thread %d of process %d has a %s of its own (unshare(2)), which "
				      "is not supported yet",
				      t->tid, task->pid, shares[i].name);
	return 0;
}

static pid_t last_of(const proc_pids *numbers, pid_t otherwise)
{
	return numbers->count ? numbers->items[numbers->count - 1] : otherwise;
}

/* A thread that has not yet found its way back from a killed checkpoint is put where it was. */
static void recover_threads(struct task *task)
{
	inject_look(task->mem, &task->areas, &task->leftovers);
	vec_each(it, &task->threads) {
		struct thread *t = *it;

		if (!inject_recover(&task->leftovers, &t->regs, &t->sigmask))
			continue;
		/* First the mask: killed in between, its old cure sets it again. */
		trace_set_sigmask(t->tid, t->sigmask);
		arch_set_regs(t->tid, &t->regs);
		t->saved = t->regs;
	}
}

int read_task(struct task *task, struct error **err)
{
	cleanup_free char *stat = NULL, *smaps = NULL;
	const struct proc_status *st;
	ssize_t n;

	vec_each(t, &task->threads) {
		int r = read_thread(*t, err);

		if (r < 0)
			return r;
	}
	vec_each(t, &task->threads) {
		int r = *t == task_leader(task) ? 0 : check_shares(task, *t, err);

		if (r < 0)
			return r;
	}
	st = &task_leader(task)->status;
	if (st->state == 'Z')
		return refuse(err, ENOTSUP, NULL,
			      "the main thread of process %d has ended while other threads live on, "
			      "which is not supported yet",
			      task->pid);
	task->ns_pid = last_of(&st->ns_tgid, task->pid);
	task->ns_pgid = last_of(&st->ns_pgid, 0);
	task->ns_sid = last_of(&st->ns_sid, 0);
	task->ns_ppid = st->ppid;
	n = task_slurp(task, "stat", &stat);
	if (n < 0 || stat_parse(stat, (size_t)n, &task->stat) < 0)
		return fail(err, ESRCH, "process %d has ended", task->pid);
	n = task_slurp(task, "smaps", &smaps);
	if (n < 0)
		return fail_errno(err, (int)-n, "cannot read the mappings of process %d", task->pid);
	if (maps_parse(smaps, (size_t)n, &task->areas) < 0)
		return fail(err, EINVAL, "cannot understand the mappings of process %d", task->pid);
	task->mem = openat(task->proc, "mem", O_RDWR | O_CLOEXEC);
	if (task->mem < 0)
		return fail_errno(err, errno, "cannot open the memory of process %d", task->pid);
	recover_threads(task);
	return 0;
}

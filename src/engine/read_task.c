/* What a stopped task is: its threads, registers, mappings, numbers. */
#include "engine/filters.h"
#include "engine/seize.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/timeout.h"
#include "inject/trace.h"
#include "task/areas.h"

struct dispatch_config {
	uint64_t mode, selector, offset, len;
};
#define GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211 /* Linux 6.4 */

/* A thread in which a system call of ours could be answered by a signal, or by the end of it all. */
static int check_injectable(struct thread *t, struct error **err)
{
	struct dispatch_config c = {0};

	int r = filters_admit(t, err);

	if (r < 0)
		return r;
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
	ssize_t n = name ? task_slurp_record(t->task, name, &text) : -ENOMEM;

	if (n < 0 || status_parse(text, (size_t)n, &t->status) < 0)
		return fail(err, ESRCH, "thread %d has ended", t->tid);
	timeout_recheck(t, text, (size_t)n);
	t->ns_tid = t->status.ns_pid.count ? t->status.ns_pid.items[t->status.ns_pid.count - 1]
					   : t->tid;
	/* The registers are known since it stopped (mend_interrupted()). */
	if (trace_get_sigmask(t->tid, &t->sigmask) < 0)
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

/* What a task is to others; a zombie has no more than this. */
static int read_identity(struct task *task, const struct proc_status *st, struct error **err)
{
	cleanup_free char *text = NULL;
	ssize_t n = task->stat_known ? 0 : task_slurp_record(task, "stat", &text);

	if (n < 0 || (text && stat_parse(text, (size_t)n, &task->stat) < 0))
		return fail(err, ESRCH, "process %d has ended", task->pid);
	task->ns_pid = last_of(&st->ns_tgid, task->pid);
	task->ns_pgid = last_of(&st->ns_pgid, 0);
	task->ns_sid = last_of(&st->ns_sid, 0);
	task->ns_ppid = task->parent ? task->parent->ns_pid : 0;
	return 0;
}

int read_zombie(struct task *task, struct error **err)
{
	struct proc_status st cleanup_status = {0};
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp_record(task, "status", &text);

	if (n < 0 || status_parse(text, (size_t)n, &st) < 0)
		return fail(err, ESRCH, "process %d is gone", task->pid);
	return read_identity(task, &st, err);
}

static int read_areas(struct task *task, const char *name, struct error **err)
{
	int r = areas_read(task->proc, name, &task->areas);

	if (r == -EINVAL)
		return fail(err, EINVAL, "cannot understand the mappings of process %d", task->pid);
	return r < 0 ? fail_errno(err, -r, "cannot read the mappings of process %d", task->pid) : 0;
}

static int read_mappings(struct task *task, const struct early_list *early, struct error **err)
{
	int r = 0;

	/* A clone's memory is not locked, and would not confirm that. */
	if (early_has(early, task->pid) && !task_leader(task)->status.vm_locked) {
		r = read_areas(task, "maps", err);
		task->early = r == 0 && early_apply(early, task->pid, &task->areas);
		if (r == 0 && !task->early)
			maps_free(&task->areas);
	}
	if (r == 0 && !task->early)
		r = read_areas(task, "smaps", err);
	if (r < 0)
		return r;
	task->mem = openat(task->proc, "mem", O_RDWR | O_CLOEXEC);
	if (task->mem < 0)
		return fail_errno(err, errno, "cannot open the memory of process %d", task->pid);
	return 0;
}

int read_task(struct task *task, const struct early_list *early, struct error **err)
{
	const struct proc_status *st;
	int r;

	vec_each(t, &task->threads) {
		r = read_thread(*t, err);
		if (r < 0)
			return r;
	}
	vec_each(t, &task->threads) {
		r = *t == task_leader(task) ? 0 : check_shares(task, *t, err);
		if (r < 0)
			return r;
	}
	st = &task_leader(task)->status;
	if (st->state == 'Z')
		return refuse(err, ENOTSUP, NULL,
			      "the main thread of process %d has ended while other threads live on, "
			      "which is not supported yet",
			      task->pid);
	r = read_identity(task, st, err);
	namespaces_read(task->proc, &task->namespaces);
	if (r == 0)
		r = read_mappings(task, early, err);
	if (r == 0)
		recover_threads(task);
	return r;
}

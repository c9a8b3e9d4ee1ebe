#include "engine/revive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/offspring.h"
#include "engine/space.h"
#include "engine/states.h"
#include "engine/timeout.h"
#include "inject/trace.h"

/* CLONE_PTRACE: they are ours from the start, and their maker need not stop to tell us. */
#define THREAD_FLAGS                                                                  \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_PTRACE)

static const char making[] = "making the program's threads";

/* Runs the batch that makes some threads, the first-th and those behind it: each call tells a number. */
static int run_clones(struct rebuilt_task *t, size_t first, struct injection *in, struct batch *b,
		      struct error **err)
{
	uint32_t failed;
	int res = inject_run(in, b, &failed, err);

	if (res < 0)
		return failed == UINT32_MAX
			       ? res
			       : fail_errno(err, -res, "%s failed (number %u)", making,
					    t->threads.items[first + failed].record->tid);
	for (uint32_t i = 0; i < b->count; i++)
		t->threads.items[first + i].ns_tid = (pid_t)batch_result(b, i);
	batch_clear(b);
	return 0;
}

static int clone_threads(struct rebuilt_task *t, bool exact, struct injection *in, struct batch *b,
			 struct error **err)
{
	size_t first = 1;

	for (size_t i = 1; i < t->threads.count; i++) {
		pid_t number = (pid_t)t->threads.items[i].record->tid;
		struct clone_args args = {.flags = THREAD_FLAGS};
		int res = batch_has_room(b, 1, 512) ? 0 : run_clones(t, first, in, b, err);

		if (res < 0)
			return res;
		first = b->count ? first : i;
		/* It is stopped before it would use a stack; the kernel wants one of some size. */
		args.stack = batch_space(b, 64);
		args.stack_size = 64;
		if (exact) {
			args.set_tid = batch_put(b, &number, sizeof number);
			args.set_tid_size = 1;
		}
		batch_call(b, 0, SYS_clone3, batch_put(b, &args, sizeof args), sizeof args);
	}
	return run_clones(t, first, in, b, err);
}

/*
 * In a namespace of their own we know them by other numbers.  The kernel lists threads in the order of
 * their making; before them there may be some of its own, of an io_uring.
 */
static int find_threads(struct rebuilt_task *t, struct error **err)
{
	int fd = openat(t->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	VEC(pid_t) tids = {0};
	struct dirent *e;
	size_t others;

	if (!dir) {
		close_fdp(&fd);
		return fail(err, ESRCH, "the new process has ended");
	}
	while ((e = readdir(dir))) {
		pid_t tid = (pid_t)atoi(e->d_name), *slot = tid > 0 ? vec_push(&tids) : NULL;

		if (slot)
			*slot = tid;
	}
	closedir(dir);
	others = tids.count - t->threads.count;
	for (size_t i = 1; tids.count >= t->threads.count && i < t->threads.count; i++)
		t->threads.items[i].tid = tids.items[others + i];
	vec_free(&tids);
	return 0;
}

int make_threads(const struct rebuild *r, struct rebuilt_task *t, const struct birth *birth,
		 struct error **err)
{
	struct injection *in = t->injection;
	struct batch b cleanup_batch = {0};
	int res;

	if (t->threads.count == 1)
		return 0;
	res = enter_task(t, err);
	if (res < 0)
		return res;
	in->alone = false;
	if (trace_set_options(t->pid, birth_trace_options(r) & ~(unsigned long)PTRACE_O_TRACECLONE) < 0)
		return fail(err, ESRCH, "the new process has ended");
	if (batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	res = clone_threads(t, birth->exact, in, &b, err);
	if (res == 0 && r->private_pids)
		res = find_threads(t, err);
	else if (res == 0)
		for (size_t i = 1; i < t->threads.count; i++)
			t->threads.items[i].tid = t->threads.items[i].ns_tid;
	for (size_t i = 1; res == 0 && i < t->threads.count; i++) {
		struct stop stop;

		if (t->threads.items[i].tid <= 0 || trace_wait_near(t->threads.items[i].tid, &stop) < 0 ||
		    stop.kind == STOP_GONE)
			res = fail(err, ESRCH, "thread %u could not be made",
				   t->threads.items[i].record->tid);
	}
	return res;
}

/* What the engine itself keeps of a thread. */
static int rebuild_thread(const struct rebuilt_thread *th, struct batch *b, uint32_t *ret_number,
			  struct error **err)
{
	const Rec__Thread *m = th->record;
	int res = 0;

	batch_call(b, 0, SYS_prctl, PR_SET_NAME, batch_put_string(b, m->name));
	*ret_number = batch_call(b, 0, SYS_set_tid_address, m->clear_child_tid);
	if (m->robust_list_len)
		batch_call(b, 0, SYS_set_robust_list, m->robust_list, m->robust_list_len);
	if (m->rseq)
		batch_call(b, 0, SYS_rseq, m->rseq, m->rseq_len, 0, m->rseq_signature);
	/* The C library keeps the thread's number where the kernel clears it at the end. */
	if (th->ns_tid != (pid_t)m->tid && m->clear_child_tid)
		res = fd_pwrite(th->task->mem, &th->ns_tid, sizeof th->ns_tid, m->clear_child_tid);
	return res < 0 ? fail_errno(err, -res, "cannot tell thread %u its new number", m->tid) : 0;
}

static int set_xstate(const struct rebuilt_thread *th, struct error **err)
{
	int res = arch_set_xstate(th->tid, th->record->xstate.data, th->record->xstate.len);

	return res < 0 ? fail_errno(err, -res, "the kernel does not take the processor state of "
					       "thread %u", th->record->tid)
		       : 0;
}

static void saved_regs(const struct rebuilt_thread *th, struct arch_regs *ret)
{
	memcpy(ret, th->record->registers.data, sizeof *ret);
}

static int enter(const struct rebuilt_thread *th, struct injection *in, struct error **err)
{
	struct arch_regs regs;

	saved_regs(th, &regs);
	return inject_enter(in, th->tid, &regs, th->record->sigmask, err);
}

/* Nothing of ours stays: the region and, where the program has none, the vdso. */
static int remove_code(const struct rebuilt_task *t, struct injection *in, struct error **err)
{
	int64_t done = 0;
	int res = inject_unmap(in, err);

	if (res < 0 || !t->lent_size)
		return res;
	res = inject_call(in, SYS_munmap, (const uint64_t[6]){t->lent_code, t->lent_size}, &done, err);
	in->cell = 0;
	return res == 0 && done < 0 ? fail_errno(err, (int)-done, "cannot unmap the vdso") : res;
}

static int revive_thread(const struct rebuild *r, const struct rebuilt_thread *th,
			 struct injection *in, struct state_calls *calls, struct error **err)
{
	uint32_t number = 0;
	int res = enter(th, in, err);

	if (res == 0)
		res = rebuild_thread(th, &calls->batch, &number, err);
	if (res == 0)
		res = states_add(r, th, PHASE_NORMAL, in, calls, err);
	if (res == 0)
		res = states_add(r, th, PHASE_LATE, in, calls, err);
	if (res == 0)
		res = states_run(in, calls, err);
	if (res == 0)
		res = set_xstate(th, err);
	return res == 0 ? timeout_prime(th, in, err) : res;
}

int revive_threads(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	struct injection *in = t->injection;
	struct state_calls calls cleanup_states = {0};
	int res = inject_leave(in, err);

	if (res == 0)
		res = states_begin(&calls, in, err);
	/* The main one last: it takes the region away, and the process's own rights. */
	for (size_t i = t->threads.count; i-- > 0 && res == 0;) {
		res = revive_thread(r, &t->threads.items[i], in, &calls, err);
		/* Who shares the memory comes later in the image and has been revived before. */
		if (res == 0 && i == 0 && !t->memory_of)
			res = remove_code(t, in, err);
		if (res == 0)
			res = inject_leave(in, err);
	}
	if (res == 0 && !t->memory_of)
		inject_end(in);
	return res;
}

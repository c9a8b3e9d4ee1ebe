#include "engine/revive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/offspring.h"
#include "engine/space.h"
#include "engine/timeout.h"
#include "inject/trace.h"
#include "proc/status.h"

#define THREAD_FLAGS                                                                  \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static int add_clones(struct rebuilt_task *t, const struct birth *birth, struct injection *in,
		      struct batch *b, struct error **err)
{
	static const char doing[] = "making the program's threads";

	for (size_t i = 1; i < t->threads.count; i++) {
		pid_t number = (pid_t)t->threads.items[i].record->tid;
		struct clone_args args = {.flags = THREAD_FLAGS};
		int res = make_room(in, b, 1, doing, err);

		if (res < 0)
			return res;
		/* It is stopped before it would use a stack; the kernel wants one of some size. */
		args.stack = batch_space(b, 64);
		args.stack_size = 64;
		if (birth->exact) {
			args.set_tid = batch_put(b, &number, sizeof number);
			args.set_tid_size = 1;
		}
		batch_call(b, 0, SYS_clone3, batch_put(b, &args, sizeof args), sizeof args);
	}
	return run_batch(in, b, doing, err);
}

static pid_t ns_number(const struct rebuilt_task *t, pid_t tid)
{
	cleanup_free char *name = str_format("task/%d/status", tid);
	cleanup_free char *text = NULL;
	struct proc_status st = {0};
	ssize_t n = name ? fd_slurp(t->proc, name, &text) : -ENOMEM;
	pid_t number = -1;

	if (n >= 0 && status_parse(text, (size_t)n, &st) == 0) {
		number = st.ns_pid.count ? st.ns_pid.items[st.ns_pid.count - 1] : tid;
		status_free(&st);
	}
	return number;
}

/* The kernel lists threads in the order of their making. */
static int find_threads(const struct birth *birth, struct rebuilt_task *t, struct error **err)
{
	int fd = openat(t->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t next = 1;

	if (!dir) {
		close_fdp(&fd);
		return fail(err, ESRCH, "the new process has ended");
	}
	while ((e = readdir(dir))) {
		pid_t tid = (pid_t)atoi(e->d_name), number;

		if (tid <= 0 || tid == t->pid)
			continue;
		number = ns_number(t, tid);
		if (!birth->exact && next < t->threads.count) {
			t->threads.items[next].tid = tid;
			t->threads.items[next++].ns_tid = number;
			continue;
		}
		vec_each(th, &t->threads)
			if ((pid_t)th->record->tid == number) {
				th->tid = tid;
				th->ns_tid = number;
			}
	}
	closedir(dir);
	return 0;
}

int make_threads(struct rebuilt_task *t, const struct birth *birth, struct error **err)
{
	struct injection *in = t->injection;
	struct batch b cleanup_batch = {0};
	int res;

	if (t->threads.count == 1)
		return 0;
	res = enter_task(t, err);
	if (res < 0)
		return res;
	if (batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	res = add_clones(t, birth, in, &b, err);
	if (res == 0)
		res = find_threads(birth, t, err);
	for (size_t i = 1; res == 0 && i < t->threads.count; i++) {
		struct stop stop;

		if (t->threads.items[i].tid <= 0 || trace_wait(t->threads.items[i].tid, &stop) < 0 ||
		    stop.kind == STOP_GONE)
			res = fail(err, ESRCH, "thread %u could not be made",
				   t->threads.items[i].record->tid);
	}
	return res;
}

/* load_image() has sorted them: by tag, then by owner. */
static const ProtobufCMessage *find_state(const struct rebuild *r, const struct kind *k,
					  uint32_t owner)
{
	size_t lo = 0, hi = r->states.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rebuilt_state *s = &r->states.items[mid];
		uint32_t at = kind_owner(s->message);

		if (s->kind == k && at == owner)
			return s->message;
		if (s->kind->tag < k->tag || (s->kind == k && at < owner))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool concerns(const struct kind *k, const struct rebuilt_thread *th)
{
	return k->state->per_thread || th == &th->task->threads.items[0];
}

static const ProtobufCMessage *state_of(const struct rebuild *r, const struct kind *k,
					const struct rebuilt_thread *th)
{
	return find_state(r, k, k->state->per_thread ? th->record->tid : th->task->record->pid);
}

/* What a process has only once is much at times: it gets a batch of its own. */
static int rebuild_process_state(const struct rebuild *r, const struct kind *k,
				 const struct rebuilt_thread *th, struct injection *in,
				 struct batch *b, struct error **err)
{
	cleanup_free char *doing = str_format("restoring %s", k->name);
	int res = b->count ? run_batch(in, b, "restoring a thread", err) : 0;

	if (res == 0 && k->state->rebuild)
		res = k->state->rebuild(r, th, state_of(r, k, th), b, err);
	if (res == 0 && b->count)
		res = run_batch(in, b, doing ? doing : k->name, err);
	if (res == 0 && k->state->rebuild_outside)
		res = k->state->rebuild_outside(r, th, state_of(r, k, th), err);
	return res;
}

int rebuild_states(const struct rebuild *r, const struct rebuilt_thread *th, enum state_phase phase,
		   struct injection *in, struct batch *b, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < kinds_count && res == 0; i++) {
		const struct kind *k = kinds[i];

		if (!k->state || k->state->phase != phase || !concerns(k, th))
			continue;
		if (!k->state->per_thread || k->state->rebuild_outside)
			res = rebuild_process_state(r, k, th, in, b, err);
		else if (k->state->rebuild)
			res = k->state->rebuild(r, th, state_of(r, k, th), b, err);
	}
	return res;
}

/* What the engine itself keeps of a thread. */
static int rebuild_thread(const struct rebuilt_thread *th, struct batch *b, struct error **err)
{
	const Rec__Thread *m = th->record;
	int res = 0;

	batch_call(b, 0, SYS_prctl, PR_SET_NAME, batch_put_string(b, m->name));
	batch_call(b, 0, SYS_set_tid_address, m->clear_child_tid);
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
			 struct injection *in, struct batch *b, struct error **err)
{
	int res = enter(th, in, err);

	if (res == 0)
		res = rebuild_thread(th, b, err);
	if (res == 0)
		res = rebuild_states(r, th, PHASE_NORMAL, in, b, err);
	if (res == 0)
		res = rebuild_states(r, th, PHASE_LATE, in, b, err);
	if (res == 0 && b->count)
		res = run_batch(in, b, "restoring a thread", err);
	if (res == 0)
		res = set_xstate(th, err);
	return res == 0 ? timeout_prime(th, in, err) : res;
}

int revive_threads(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	struct injection *in = t->injection;
	struct batch b cleanup_batch = {0};
	int res = inject_leave(in, err);

	if (res == 0 && batch_init(&b, in->region) < 0)
		res = fail(err, ENOMEM, "out of memory");
	/* The main one last: it takes the region away, and the process's own rights. */
	for (size_t i = t->threads.count; i-- > 0 && res == 0;) {
		res = revive_thread(r, &t->threads.items[i], in, &b, err);
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

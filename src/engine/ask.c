#include "engine/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/spill.h"
#include "kind/kind.h"
#include "task/append.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* Indices of the engine's own questions. */
struct questions {
	uint32_t tid_address, subreaper, brk;
	uint64_t tid_address_at, subreaper_at;
};

static bool concerns(const struct kind *k, const struct thread *t)
{
	return k->state && (k->state->per_thread || t == task_leader(t->task));
}

static void ask_own(struct batch *b, struct questions *q)
{
	q->tid_address_at = batch_space(b, sizeof(uint64_t));
	q->tid_address = batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_TID_ADDRESS,
				    q->tid_address_at);
	q->subreaper_at = batch_space(b, sizeof(int));
	q->subreaper = batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_CHILD_SUBREAPER,
				  q->subreaper_at);
	q->brk = batch_call(b, 0, SYS_brk, 0);
}

static Rec__Thread *thread_record(const struct thread *t, struct error **err)
{
	Rec__Thread *m = calloc(1, sizeof *m);
	void *head = NULL;
	size_t len = 0;

	if (!m) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	rec__thread__init(m);
	m->tid = (uint32_t)t->ns_tid;
	m->pid = (uint32_t)t->task->ns_pid;
	m->name = strdup(t->status.name);
	m->sigmask = t->sigmask;
	m->restart_timed = t->timed;
	m->restart_remaining = t->remaining;
	m->rseq = t->rseq.pointer;
	m->rseq_len = t->rseq.size;
	m->rseq_signature = t->rseq.signature;
	if (syscall(SYS_get_robust_list, t->tid, &head, &len) == 0) {
		m->robust_list = (uint64_t)(uintptr_t)head;
		m->robust_list_len = len;
	}
	if (!m->name || bytes_set(&m->registers, &t->saved.gp, sizeof t->saved.gp) < 0 ||
	    arch_get_xstate(t->tid, (void **)&m->xstate.data, &m->xstate.len) < 0) {
		rec__thread__free_unpacked(m, NULL);
		fail(err, ESRCH, "cannot read the registers of thread %d", t->tid);
		return NULL;
	}
	return m;
}

static int capture_states(struct capture *c, const struct thread *t, const struct batch *b,
			  const struct asked *asked, struct error **err)
{
	int first = 0;

	for (size_t i = 0; i < kinds_count; i++) {
		ProtobufCMessage *m = NULL;
		int r;

		if (!concerns(kinds[i], t))
			continue;
		r = kinds[i]->state->capture(c, t, b, &asked[i], &m, err);
		if (r == 0 && m)
			r = capture_record(c, kinds[i], m);
		/* An obstacle does not keep the others from being heard of. */
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

/* The thread is in.  The batch is that of the thread before: its memory is used again. */
static int ask_thread(struct capture *c, struct thread *t, struct injection *in, struct batch *b,
		      Rec__Memory *memory, Rec__Thread **ret, struct error **err)
{
	struct asked asked[kinds_count];
	struct questions q;
	Rec__Thread *m;
	uint32_t failed;
	int r;

	memset(asked, 0, sizeof asked);
	m = thread_record(t, err);
	if (!m)
		return -ESRCH;
	*ret = m;
	if (b->data)
		batch_clear(b);
	else if (batch_init(b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	ask_own(b, &q);
	for (size_t i = 0; i < kinds_count; i++) {
		if (!concerns(kinds[i], t) || !kinds[i]->state->ask)
			continue;
		r = kinds[i]->state->ask(c, t, b, &asked[i]);
		if (r < 0)
			return fail_errno(err, -r, "cannot ask for %s", kinds[i]->name);
	}
	r = inject_run(in, b, &failed, err);
	if (r < 0 && failed != UINT32_MAX)
		return fail_errno(err, -r, "thread %d failed to tell its state (call %u)", t->tid,
				  failed);
	if (r < 0)
		return r;
	if (batch_result(b, q.tid_address) == 0)
		memcpy(&m->clear_child_tid, batch_at(b, q.tid_address_at), sizeof(uint64_t));
	t->task->adopts = t->task->ns_pid == 1 ||
			  (batch_result(b, q.subreaper) == 0 &&
			   *(const int *)batch_at(b, q.subreaper_at) != 0);
	if (memory && t == task_leader(t->task))
		memory->brk = (uint64_t)batch_result(b, q.brk);
	return capture_states(c, t, b, asked, err);
}

/* Memory locked for the future shows on the one mapping that is new: ours. */
static void see_lock_future(const struct task *task, const struct injection *in,
			    Rec__Memory *memory)
{
	cleanup_free char *text = NULL;
	struct proc_status st = {0};
	ssize_t n = task_slurp_record(task, "status", &text);
	cleanup_close int pagemap = -1;
	uint64_t last = in->region + BATCH_REGION_SIZE - ARCH_PAGE_SIZE, entry = 0;

	if (n < 0 || status_parse(text, (size_t)n, &st) < 0)
		return;
	if (st.vm_locked > task_leader(task)->status.vm_locked) {
		/* Without MCL_ONFAULT even a page that nobody touched is there. */
		pagemap = openat(task->proc, "pagemap", O_RDONLY | O_CLOEXEC);
		fd_pread(pagemap, &entry, sizeof entry, last / ARCH_PAGE_SIZE * sizeof entry);
		memory->lock_future = entry >> 63 ? MCL_FUTURE : MCL_FUTURE | MCL_ONFAULT;
	}
	status_free(&st);
}

/* What a killed checkpoint left goes before ours comes, but for what ours takes the place of. */
static int clear_leftovers(struct task *task, struct injection *in, struct error **err)
{
	vec_each(a, &task->areas.list) {
		int64_t done;
		int r;

		if (!inject_is_leftover(&task->leftovers, task->mem, a) ||
		    (in->replaces && a->start == in->place))
			continue;
		r = inject_call(in, SYS_munmap, (const uint64_t[6]){a->start, a->end - a->start},
				&done, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The main thread of who has the address space makes the region; it is in. */
static int settle_in(struct capture *c, struct task *task, struct injection *in,
		     Rec__Memory *memory, struct error **err)
{
	int r = clear_leftovers(task, in, err);

	if (r == 0)
		r = inject_map(in, err);
	if (r < 0)
		return r;
	see_lock_future(task, in, memory);
	return spill_mapped_files(c, task, in, err);
}

int ask_task(struct capture *c, struct task *task, struct injection *in, Rec__Memory *memory,
	     Rec__Thread ***ret_threads, struct error **err)
{
	const struct proc_status *st = &task_leader(task)->status;
	Rec__Thread **threads = calloc(task->threads.count + 1, sizeof *threads);
	uint64_t pending = st->sig_pending | st->shared_pending;
	struct batch b cleanup_batch = {0};
	int r = 0;

	*ret_threads = threads;
	if (!threads)
		return fail(err, ENOMEM, "out of memory");
	if (task->memory_of)
		inject_change_process(in, task->pid, st->sig_ignored, st->sig_caught, pending);
	else
		r = inject_begin(in, task->pid, task->mem, &task->areas, &task->leftovers, 0,
				 st->sig_ignored, st->sig_caught, pending, err);
	for (size_t i = 0; i < task->threads.count && r == 0; i++) {
		struct thread *t = task->threads.items[i];

		in->wary = t->wary;
		r = inject_enter(in, t->tid, &t->regs, t->sigmask, err);
		if (r == 0 && i == 0 && !task->memory_of)
			r = settle_in(c, task, in, memory, err);
		if (r == 0)
			r = ask_thread(c, t, in, &b, memory, &threads[i], err);
		if (in->tid && inject_leave(in, r < 0 ? NULL : err) < 0 && r == 0)
			r = -ESRCH;
	}
	return r;
}

int cure_task(struct task *task, struct injection *in, struct error **err)
{
	struct thread *t = task_leader(task);
	int r = 0, left;

	if (!in->cell)
		return 0;
	/* A thread that could not be led back may be anywhere in it: as if we had been killed. */
	if (in->tid)
		return fail(err, ESRCH, "a thread of process %d does not stop", task->pid);
	if (in->region) {
		in->wary = t->wary;
		r = inject_enter(in, t->tid, &t->regs, t->sigmask, err);
		if (r == 0)
			r = inject_unmap(in, err);
		left = in->tid ? inject_leave(in, r < 0 ? NULL : err) : 0;
		r = r < 0 ? r : left;
	}
	inject_end(in);
	return r;
}

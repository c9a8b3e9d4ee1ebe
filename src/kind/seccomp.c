/*
 * Seccomp: strict mode and filters of each thread.
 *
 * They are put on while the tool, which traces the new threads with PTRACE_O_SUSPEND_SECCOMP
 * (engine/birth.c), keeps them from doing anything: whatever they forbid, the restore still
 * can do.  Filters that all threads of a process have in common are put on once, by the main
 * one for all (SECCOMP_FILTER_FLAG_TSYNC): so they are one object again, and the program can
 * go on adding to it for all threads.
 *
 * Filters that tool and program have inherited from one ancestor (engine/filters.h) are not in
 * the image: the restore must be under as many, and the program inherits them again.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"
#include "priv/seccomp.h"
#include "task/append.h"

#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif

#define PROGRAM_MAX BPF_MAXINSNS
#define ALL_MAX 32768 /* instructions of all filters of a thread: the kernel's limit */

extern const struct kind kind_seccomp;

/* ---- Capture ---------------------------------------------------------------------- */

/* A program outside decides on the calls: it is not in the image. */
static bool asks_somebody(const struct sock_filter *program, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (BPF_CLASS(program[i].code) == BPF_RET && BPF_RVAL(program[i].code) == BPF_K &&
		    (program[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF)
			return true;
	return false;
}

static int capture_filter(const struct thread *t, unsigned int index, int length, Rec__Seccomp *m,
			  struct error **err)
{
	Rec__SeccompFilter *f =
		message_append(&m->filters, &m->n_filters, &rec__seccomp_filter__descriptor);
	struct sock_filter *program = calloc((size_t)length, sizeof *program);
	uint64_t flags = 0;
	int r;

	if (!f || !program) {
		free(program);
		return fail(err, ENOMEM, "out of memory");
	}
	f->program.data = (uint8_t *)program;
	f->program.len = (size_t)length * sizeof *program;
	r = priv_filter_read(t->tid, index, program);
	if (r >= 0)
		r = priv_filter_flags(t->tid, index, &flags);
	if (r < 0)
		return fail_errno(err, -r, "cannot read seccomp filter %u of thread %d", index, t->tid);
	f->log = flags & SECCOMP_FILTER_FLAG_LOG;
	if (asks_somebody(program, (size_t)length))
		return refuse(err, ENOTSUP, NULL,
			      "thread %d has a seccomp filter that lets another program decide "
			      "(SECCOMP_RET_USER_NOTIF)", t->tid);
	return 0;
}

static int capture_filters(const struct thread *t, Rec__Seccomp *m, struct error **err)
{
	for (unsigned int i = 0;; i++) {
		int length = priv_filter_length(t->tid, i), r;

		if (length == -ENOENT && i)
			return 0;
		/* EMEDIUMTYPE: a filter that was not put on by seccomp(2). */
		if (length <= 0)
			return fail_errno(err, -length, "cannot read seccomp filter %u of thread %d", i,
					  t->tid);
		r = capture_filter(t, i, length, m, err);
		if (r < 0)
			return r;
	}
}

static bool same_filters(const Rec__Seccomp *a, const Rec__Seccomp *b)
{
	if (a->n_filters != b->n_filters)
		return false;
	for (size_t i = 0; i < a->n_filters; i++) {
		const Rec__SeccompFilter *f = a->filters[i], *g = b->filters[i];

		if (f->log != g->log || f->program.len != g->program.len ||
		    memcmp(f->program.data, g->program.data, f->program.len) != 0)
			return false;
	}
	return true;
}

/* Threads mostly have the filters of the main one: then these are not there again. */
static void point_to_main(const struct capture *c, const struct thread *t, Rec__Seccomp *m)
{
	uint32_t tid = (uint32_t)task_leader(t->task)->ns_tid;

	if (!m->n_filters || m->tid == tid)
		return;
	vec_each(r, &c->records) {
		const Rec__Seccomp *main = (const Rec__Seccomp *)r->message;

		if (r->kind != &kind_seccomp || main->tid != tid || !same_filters(main, m))
			continue;
		for (size_t i = 0; i < m->n_filters; i++)
			message_free(&m->filters[i]->base);
		free(m->filters);
		m->filters = NULL;
		m->n_filters = 0;
		m->as_thread = tid;
		return;
	}
}

static int seccomp_capture(struct capture *c, const struct thread *t, const struct batch *b,
			   const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__Seccomp *m;
	int r = 0;

	(void)b, (void)asked;
	if (!t->status.seccomp)
		return 0;
	m = kind_message(&kind_seccomp);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->tid = (uint32_t)t->ns_tid;
	m->mode = (uint32_t)t->status.seccomp;
	m->no_new_privs = t->status.no_new_privs;
	if (t->wary)
		m->inherited = t->status.seccomp_filters;
	else if (m->mode == SECCOMP_MODE_FILTER)
		r = capture_filters(t, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	point_to_main(c, t, m);
	*ret = &m->base;
	return 0;
}

/* ---- Validation ------------------------------------------------------------------- */

static int seccomp_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Seccomp *m = (const Rec__Seccomp *)message;
	size_t all = 0;

	if (m->mode != SECCOMP_MODE_STRICT && m->mode != SECCOMP_MODE_FILTER)
		return fail(err, EINVAL, "an impossible seccomp mode: %u", m->mode);
	/* Exactly one of the three says which filters. */
	if (!!m->n_filters + !!m->inherited + !!m->as_thread !=
		    (m->mode == SECCOMP_MODE_FILTER) ||
	    m->as_thread == m->tid || m->inherited > ALL_MAX)
		return fail(err, EINVAL, "a seccomp mode that does not go with its filters");
	for (size_t i = 0; i < m->n_filters; i++) {
		size_t len = m->filters[i]->program.len;

		if (!len || len % sizeof(struct sock_filter) ||
		    len > PROGRAM_MAX * sizeof(struct sock_filter))
			return fail(err, EINVAL, "a seccomp filter of %zu bytes", len);
		/* The kernel counts four more for each. */
		all += len / sizeof(struct sock_filter) + 4;
		if (all > ALL_MAX)
			return fail(err, EINVAL, "seccomp filters of more than %u instructions", ALL_MAX);
	}
	return 0;
}

/* They are sorted by tag and owner. */
static const Rec__Seccomp *find_record(const struct rebuild *r, uint32_t tid)
{
	size_t lo = 0, hi = r->states.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct rebuilt_state *s = &r->states.items[mid];
		uint32_t owner = kind_owner(s->message);

		if (s->kind == &kind_seccomp && owner == tid)
			return (const Rec__Seccomp *)s->message;
		if (s->kind->tag < kind_seccomp.tag || (s->kind == &kind_seccomp && owner < tid))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Whose filters it has: its own record, or that of the main thread.  NULL: an image that makes no sense. */
static const Rec__Seccomp *filters_of(const struct rebuild *r, const Rec__Seccomp *m)
{
	const Rec__Seccomp *main = m && m->as_thread ? find_record(r, m->as_thread) : m;

	return main && main->as_thread ? NULL : main;
}

static int check_inherited(const Rec__Seccomp *m, struct error **err)
{
	struct proc_status own cleanup_status = {0};
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/self/status", &text);

	if (n < 0 || status_parse(text, (size_t)n, &own) < 0)
		return fail(err, EIO, "cannot read /proc/self/status");
	if (own.seccomp_filters == m->inherited)
		return 0;
	return refuse(err, EPERM, "restore it in a container (or session) like that in which it was saved",
		      "the program was under %u seccomp filters of its container's, and you are under %u",
		      m->inherited, own.seccomp_filters);
}

static int seccomp_check(const struct rebuild *r, const ProtobufCMessage *message,
			 struct error **err)
{
	const Rec__Seccomp *m = (const Rec__Seccomp *)message, *filters = filters_of(r, m);

	if (m->inherited)
		return check_inherited(m, err);
	if (!filters || (m->as_thread && !filters->n_filters))
		return fail(err, EINVAL, "thread %u has the seccomp filters of thread %u, which has none",
			    m->tid, m->as_thread);
	/* The rest was, or will be, said of the main thread. */
	if (m->as_thread && m->no_new_privs == filters->no_new_privs)
		return 0;
	if (!priv_can(PRIV_FILTERS_SUSPEND))
		return refuse(err, EPERM, "restore it as root, and outside of any filter",
			      "thread %u was under seccomp, and the restore could not go on under it",
			      m->tid);
	if (r->private_pids && m->mode == SECCOMP_MODE_FILTER && !m->no_new_privs)
		return refuse(err, EPERM, "use --pid=same or --pid=new",
			      "thread %u has seccomp filters without no_new_privs, which takes root's "
			      "rights to restore, and a private namespace has none", m->tid);
	return 0;
}

/* ---- Restore ---------------------------------------------------------------------- */

/* All threads of the process have the filters of the main one, which comes last. */
static bool are_common(const struct rebuild *r, const struct rebuilt_task *t)
{
	const Rec__Seccomp *main = find_record(r, t->threads.items[0].record->tid);

	for (size_t i = 1; main && i < t->threads.count; i++) {
		const Rec__Seccomp *m = find_record(r, t->threads.items[i].record->tid);

		if (!m || m->as_thread != main->tid || m->no_new_privs != main->no_new_privs)
			return false;
	}
	return main && t->threads.count > 1;
}

static void add_filter(struct batch *b, const Rec__SeccompFilter *f, uint64_t flags)
{
	const struct sock_fprog program = {
		.len = (unsigned short)(f->program.len / sizeof(struct sock_filter)),
		.filter = (void *)(uintptr_t)batch_put(b, f->program.data, f->program.len),
	};

	if (f->log)
		flags |= SECCOMP_FILTER_FLAG_LOG;
	batch_call(b, 0, SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags,
		   batch_put(b, &program, sizeof program));
}

static int seccomp_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			   const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Seccomp *m = (const Rec__Seccomp *)message;
	const Rec__Seccomp *with = filters_of(r, m);
	bool common = with && with->n_filters && are_common(r, t->task);

	(void)err;
	if (!m || !with || m->inherited)
		return 0;
	if (m->mode == SECCOMP_MODE_STRICT) {
		batch_call(b, 0, SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		return 0;
	}
	if (common && t != &t->task->threads.items[0])
		return 0;
	if (m->no_new_privs)
		batch_call(b, 0, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
	for (size_t i = 0; i < with->n_filters; i++)
		add_filter(b, with->filters[i], common ? SECCOMP_FILTER_FLAG_TSYNC : 0);
	return 0;
}

const struct kind kind_seccomp = {
	.name = "seccomp",
	.tag = 80,
	.schema = &rec__seccomp__descriptor,
	.state = &(const struct state_ops){
		.per_thread = true,
		.phase = PHASE_LATE,
		.capture = seccomp_capture,
		.validate = seccomp_validate,
		.check = seccomp_check,
		.rebuild = seccomp_rebuild,
	},
};

/*
 * SEM_UNDO: what the kernel is to add to semaphores when a process ends.
 *
 * No file and no call shows these adjustments, but their limits do: semop(2) says ERANGE when one
 * would leave [-32768, 32767].  So a process is asked with groups of operations that
 * cannot succeed, because the last one would make a semaphore negative (EAGAIN).  Whether ERANGE comes
 * before it tells if the adjustment is above a bound.  The kernel takes all operations of a
 * group back under the lock of the set: nobody ever sees one of them.
 */
#include "kind/sysv.h"

#include <errno.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "priv/userns.h"
#include "task/append.h"

#define VALUE_MAX SHRT_MAX /* SEMVMX, and the largest adjustment */

/* Adjustments of -4 to 4 are found out, of the first so many semaphores; of others, that there are none. */
#define BOUNDS     4
#define ANSWERS    (2 * BOUNDS)
#define EXACT_MAX  32u
#define GROUP_OPS  400u /* of SEMOPM, 500 */
#define EACH_OPS   7u   /* for each semaphore */
#define EXACT_OPS  5u   /* a call that asks exactly has no more */
#define GROUPS_MAX 40u

#define QUIET (IPC_NOWAIT | SEM_UNDO)

/* The fourth argument of semctl(2). */
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

struct values {
	int id;
	unsigned short list[32000];
};

static int read_values(void *arg)
{
	struct values *v = arg;

	return semctl(v->id, 0, GETALL, (union semun){.array = v->list}) < 0 ? -errno : 0;
}

struct group {
	struct sembuf ops[GROUP_OPS + 1];
	size_t count;
};

static void add_op(struct group *g, size_t n, int op, short flags)
{
	/* Nothing would be a wait for zero. */
	if (op)
		g->ops[g->count++] = (struct sembuf){(unsigned short)n, (short)op, flags};
}

/* Asks whether the adjustment is above bound: ERANGE, if so.  The value is 0 then. */
static void add_above(struct group *g, size_t n, int value, int bound)
{
	add_op(g, n, VALUE_MAX - value, IPC_NOWAIT);
	add_op(g, n, -(VALUE_MAX - bound), QUIET);
}

/* ... whether it is below -bound.  One operation cannot reach as far as 0 needs. */
static void add_below(struct group *g, size_t n, int value, int bound)
{
	add_op(g, n, -value, IPC_NOWAIT);
	if (bound == 0) {
		add_op(g, n, 1, QUIET);
		add_op(g, n, -1, IPC_NOWAIT);
	}
	add_op(g, n, bound == 0 ? VALUE_MAX : VALUE_MAX + 1 - bound, QUIET);
}

/* Ends the group with what always fails, and adds it to the batch. */
static void ask_group(struct batch *b, int id, struct group *g)
{
	g->ops[g->count++] = (struct sembuf){g->ops[0].sem_num, SHRT_MIN, IPC_NOWAIT};
	batch_call(b, BATCH_MAY_FAIL, SYS_semop, (uint64_t)id,
		   batch_put(b, g->ops, g->count * sizeof g->ops[0]), g->count);
	g->count = 0;
}

/* Exactly: ANSWERS calls for each semaphore. */
static void ask_exactly(struct batch *b, const struct values *v, size_t size)
{
	struct group g = {.count = 0};

	for (size_t n = 0; n < size; n++) {
		for (int bound = 0; bound < BOUNDS; bound++) {
			add_above(&g, n, v->list[n], bound);
			ask_group(b, v->id, &g);
		}
		for (int bound = 0; bound < BOUNDS; bound++) {
			add_below(&g, n, v->list[n], bound);
			ask_group(b, v->id, &g);
		}
	}
}

/* Only whether there is any. */
static void ask_groups(struct batch *b, const struct values *v, size_t size)
{
	struct group g = {.count = 0};

	for (size_t n = 0; n < size; n++) {
		add_above(&g, n, v->list[n], 0);
		/* Its operation has left the value 0 and the adjustment 32767 above what it was. */
		add_op(&g, n, VALUE_MAX, QUIET);
		add_below(&g, n, VALUE_MAX, 0);
		if (g.count + EACH_OPS > GROUP_OPS || n + 1 == size)
			ask_group(b, v->id, &g);
	}
}

/* Neither has any adjustments: neither has what they are kept in. */
static bool has_none(const struct task *task)
{
	return syscall(SYS_kcmp, getpid(), task->pid, KCMP_SYSVSEM, 0, 0) == 0;
}

/* How far the batch has been filled. */
struct asking {
	struct batch *b;
	struct values *values;
	int within;
	size_t exact; /* semaphores */
	bool all;     /* none was left out */
};

static int ask_set(struct asking *to, const struct sysv_object *o)
{
	int r;

	to->values->id = o->id;
	r = priv_within(to->within, read_values, to->values);
	/* Who may not read its values may not change them. */
	if (r < 0)
		return r == -EACCES ? 0 : r;
	if (o->size <= EXACT_MAX - to->exact) {
		to->exact += o->size;
		ask_exactly(to->b, to->values, o->size);
	} else if (o->size <= GROUPS_MAX * (GROUP_OPS / EACH_OPS) &&
		   batch_has_room(to->b, GROUPS_MAX, GROUPS_MAX * sizeof(struct group))) {
		ask_groups(to->b, to->values, o->size);
	} else {
		to->all = false;
	}
	return 0;
}

/* asked: the first call, the one behind the last, and 1 when not all fit. */
static int undo_ask(const struct capture *c, const struct thread *t, struct batch *b,
		    struct asked *asked)
{
	struct sysv_table *own cleanup_sysv_table = NULL;
	const struct sysv_table *table = c->ipc;
	struct asking to = {.b = b, .within = capture_ipc(c), .all = true};
	int r = 0;

	if (has_none(t->task))
		return 0;
	if (!table)
		r = sysv_scan(c, &own, NULL);
	table = table ? table : own;
	to.values = r == 0 ? priv_shared(sizeof *to.values) : NULL;
	if (!to.values)
		return r < 0 ? r : -ENOMEM;
	asked->a[0] = b->count;
	for (size_t i = 0; i < table->used && r == 0; i++)
		if (table->list[i].type == SYSV_SEM)
			r = ask_set(&to, &table->list[i]);
	asked->a[1] = b->count;
	asked->a[2] = !to.all;
	priv_unshare(to.values, sizeof *to.values);
	return r;
}

static const struct sembuf *operation(const struct batch *b, uint32_t entry)
{
	return batch_at(b, batch_entry(b, entry)->args[1]);
}

/* The answers for one semaphore; INT_MIN: something else was answered, or it is beyond the bounds. */
static int read_answers(const struct batch *b, uint32_t first)
{
	int above = 0, below = 0;

	for (uint32_t i = 0; i < ANSWERS; i++) {
		int64_t answer = batch_result(b, first + i);

		/* Who may not change the set has nothing to undo. */
		if (answer == -EACCES)
			return 0;
		if (answer != -ERANGE && answer != -EAGAIN)
			return INT_MIN;
		if (answer == -ERANGE)
			*(i < BOUNDS ? &above : &below) += 1;
	}
	return above == BOUNDS || below == BOUNDS ? INT_MIN : above - below;
}

static int refuse_unknown(struct error **err)
{
	return refuse(err, ENOTSUP, "checkpoint it while it holds no such semaphore",
		      "it holds System V semaphores with SEM_UNDO, more than can be found out");
}

static int read_one(const struct batch *b, uint32_t at, Rec__SysvUndo *m, struct error **err)
{
	int value = read_answers(b, at);
	Rec__SysvAdjustment *adjustment;

	if (value == INT_MIN)
		return refuse_unknown(err);
	if (value == 0)
		return 0;
	adjustment = message_append(&m->adjustments, &m->n_adjustments,
				    &rec__sysv_adjustment__descriptor);
	if (!adjustment)
		return fail(err, ENOMEM, "out of memory");
	adjustment->id = (int32_t)batch_entry(b, at)->args[0];
	adjustment->semaphore = operation(b, at)->sem_num;
	adjustment->value = value;
	return 0;
}

static int read_all(const struct batch *b, const struct asked *asked, Rec__SysvUndo *m,
		    struct error **err)
{
	for (uint32_t at = (uint32_t)asked->a[0]; at < asked->a[1];) {
		bool exact = batch_entry(b, at)->args[2] <= EXACT_OPS;
		int64_t answer = batch_result(b, at);
		int r = 0;

		if (exact)
			r = read_one(b, at, m, err);
		else if (answer != -EAGAIN && answer != -EACCES)
			r = refuse_unknown(err);
		if (r < 0)
			return r;
		at += exact ? ANSWERS : 1;
	}
	return asked->a[2] ? refuse_unknown(err) : 0;
}

static int undo_capture(struct capture *c, const struct thread *t, const struct batch *b,
			const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__SysvUndo *m = kind_message(&kind_sysv_undo);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	r = read_all(b, asked, m, err);
	if (r == 0 && m->n_adjustments)
		*ret = &m->base;
	else
		message_free(&m->base);
	return r;
}

static int undo_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__SysvUndo *m = (const Rec__SysvUndo *)base;

	if (m->n_adjustments > EXACT_MAX)
		return fail(err, EINVAL, "more semaphores to undo than are ever saved");
	for (size_t i = 0; i < m->n_adjustments; i++) {
		const Rec__SysvAdjustment *a = m->adjustments[i];

		if (a->id < 0 || a->semaphore > USHRT_MAX || !a->value || a->value <= -BOUNDS ||
		    a->value >= BOUNDS)
			return fail(err, EINVAL, "an impossible adjustment of a semaphore");
	}
	return 0;
}

/* Up and down by as much: the value stays, and half of it is to be undone. */
static int undo_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			const ProtobufCMessage *base, struct batch *b, struct error **err)
{
	const Rec__SysvUndo *m = (const Rec__SysvUndo *)base;

	(void)r;
	(void)t;
	(void)err;
	for (size_t i = 0; m && i < m->n_adjustments; i++) {
		const Rec__SysvAdjustment *a = m->adjustments[i];
		short up = (short)abs(a->value);
		unsigned short n = (unsigned short)a->semaphore;
		const struct sembuf ops[] = {
			{n, up, a->value > 0 ? IPC_NOWAIT : QUIET},
			{n, (short)-up, a->value > 0 ? QUIET : IPC_NOWAIT},
		};

		batch_call(b, 0, SYS_semop, (uint64_t)a->id, batch_put(b, ops, sizeof ops), 2);
	}
	return 0;
}

const struct kind kind_sysv_undo = {
	.name = "SEM_UNDO",
	.tag = 91,
	.schema = &rec__sysv_undo__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_NORMAL,
		.ask = undo_ask,
		.capture = undo_capture,
		.validate = undo_validate,
		.rebuild = undo_rebuild,
	},
};

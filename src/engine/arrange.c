#include "engine/arrange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "engine/space.h"

static const char doing[] = "arranging the descriptors";

/* to becomes a descriptor of what from shows now. */
struct move {
	int from, to;
	bool cloexec;
	bool done;
	unsigned int readers; /* other moves that have yet to read the number that it overwrites */
};

/* All of a task, by their destinations. */
struct moves {
	struct move *list;
	size_t count;
	size_t *queue; /* those that nobody is in the way of, in their order */
	size_t queued, next;
};

static void moves_free(struct moves *m)
{
	free(m->list);
	free(m->queue);
}

/* The move that overwrites the number; NULL: none does. */
static struct move *move_to(const struct moves *m, int number)
{
	size_t lo = 0, hi = m->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->list[mid].to < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->count && m->list[lo].to == number ? &m->list[lo] : NULL;
}

static void enqueue(struct moves *m, const struct move *move)
{
	m->queue[m->queued++] = (size_t)(move - m->list);
}

static void find_readers(struct moves *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct move *over = move_to(m, m->list[i].from);

		if (over && over != &m->list[i])
			over->readers++;
	}
	for (size_t i = 0; i < m->count; i++)
		if (!m->list[i].readers)
			enqueue(m, &m->list[i]);
}

static int carry_out(struct moves *m, struct injection *in, struct batch *b, struct error **err)
{
	while (m->next < m->queued) {
		struct move *move = &m->list[m->queue[m->next++]], *over = move_to(m, move->from);
		int res = make_room(in, b, 1, doing, err);

		if (res < 0)
			return res;
		if (over == move)
			batch_call(b, 0, SYS_fcntl, (uint64_t)move->to, F_SETFD,
				   move->cloexec ? FD_CLOEXEC : 0);
		else
			batch_call(b, 0, SYS_dup3, (uint64_t)move->from, (uint64_t)move->to,
				   move->cloexec ? O_CLOEXEC : 0);
		move->done = true;
		if (over && over != move && --over->readers == 0)
			enqueue(m, over);
	}
	return 0;
}

/*
 * Moves happen in an order in which no source is overwritten before its last use.  What is left
 * then are cycles, in which each number has one reader; spare, a copy of one number, opens a cycle.
 */
static int order_moves(struct moves *m, int spare, struct injection *in, struct batch *b,
		       struct error **err)
{
	int res;

	find_readers(m);
	res = carry_out(m, in, b, err);
	for (size_t i = 0; i < m->count && res == 0; i++) {
		struct move *move = &m->list[i], *over = move->done ? NULL : move_to(m, move->from);

		if (!over)
			continue;
		res = make_room(in, b, 1, doing, err);
		if (res < 0)
			return res;
		batch_call(b, 0, SYS_dup3, (uint64_t)move->from, (uint64_t)spare, O_CLOEXEC);
		move->from = spare;
		over->readers = 0;
		enqueue(m, over);
		res = carry_out(m, in, b, err);
	}
	return res;
}

static int close_others(const Rec__Task *m, struct injection *in, struct batch *b,
			struct error **err)
{
	uint32_t next = 0;

	for (size_t i = 0; i < m->n_slots; i++) {
		int res = make_room(in, b, 2, doing, err);

		if (res < 0)
			return res;
		if (m->slots[i]->fd > next)
			batch_call(b, 0, SYS_close_range, next, m->slots[i]->fd - 1);
		next = m->slots[i]->fd + 1;
	}
	batch_call(b, 0, SYS_close_range, next, ~0u);
	return run_batch(in, b, doing, err);
}

/* Where the task has the file now: where the tool has it, or where it came late. */
static int source_of(const struct rebuilt_task *t, const struct rebuilt_file *f)
{
	vec_each(l, &t->late)
		if (l->file == f->id)
			return l->fd;
	return f->fd;
}

/* The lowest number that is neither a source nor a destination; -ENOMEM. */
static int free_number(const struct rebuild *r, const struct rebuilt_task *t)
{
	const Rec__Task *m = t->record;
	/* So many may be in use: one of the first is not. */
	size_t most = r->files.count + t->late.count + m->n_slots;
	bool *used = calloc(most + 1, sizeof *used);
	size_t number = 0;

	if (!used)
		return -ENOMEM;
	vec_each(f, &r->files)
		if (f->fd >= 0 && (size_t)f->fd < most)
			used[f->fd] = true;
	vec_each(l, &t->late)
		if (l->fd >= 0 && (size_t)l->fd < most)
			used[l->fd] = true;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i]->fd < most)
			used[m->slots[i]->fd] = true;
	while (used[number])
		number++;
	free(used);
	return (int)number;
}

int arrange_descriptors(const struct rebuild *r, const struct rebuilt_task *t, struct error **err)
{
	struct injection *in = t->injection;
	const Rec__Task *m = t->record;
	struct moves moves __attribute__((cleanup(moves_free))) = {
		.list = calloc(m->n_slots + 1, sizeof *moves.list),
		.count = m->n_slots,
		.queue = calloc(m->n_slots + 1, sizeof *moves.queue),
	};
	struct batch b cleanup_batch = {0};
	int spare = free_number(r, t), res;

	if (!moves.list || !moves.queue || spare < 0 || batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct rebuilt_file *f = rebuilt_file(r, m->slots[i]->file);

		moves.list[i] = (struct move){.from = source_of(t, f),
					      .to = (int)m->slots[i]->fd,
					      .cloexec = m->slots[i]->cloexec};
	}
	res = order_moves(&moves, spare, in, &b, err);
	if (res == 0)
		res = run_batch(in, &b, doing, err);
	return res == 0 ? close_others(m, in, &b, err) : res;
}

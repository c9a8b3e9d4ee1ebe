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
	bool cloexec, done;
};

/*
 * Moves happen in an order in which no source is overwritten before its last use.  What is left
 * then are cycles (-ELOOP); each is opened by a copy of one source at a free number.
 */
static int order_moves(struct move *moves, size_t count, struct injection *in, struct batch *b,
		       struct error **err)
{
	for (;;) {
		bool progress = false, stuck = false;

		for (size_t i = 0; i < count; i++) {
			bool needed = false;
			int res;

			if (moves[i].done)
				continue;
			for (size_t k = 0; k < count && !needed; k++)
				needed = k != i && !moves[k].done && moves[k].from == moves[i].to;
			if (needed) {
				stuck = true;
				continue;
			}
			res = make_room(in, b, 2, doing, err);
			if (res < 0)
				return res;
			if (moves[i].from == moves[i].to)
				batch_call(b, 0, SYS_fcntl, (uint64_t)moves[i].to, F_SETFD,
					   moves[i].cloexec ? FD_CLOEXEC : 0);
			else
				batch_call(b, 0, SYS_dup3, (uint64_t)moves[i].from,
					   (uint64_t)moves[i].to,
					   moves[i].cloexec ? O_CLOEXEC : 0);
			moves[i].done = true;
			progress = true;
		}
		if (!stuck)
			return 0;
		if (!progress)
			return -ELOOP;
	}
}

/* Opens one cycle: the number of its first member becomes free by way of spare. */
static void break_cycle(struct move *moves, size_t count, int spare, struct batch *b)
{
	int from = -1;

	for (size_t i = 0; i < count; i++) {
		if (moves[i].done)
			continue;
		if (from < 0) {
			from = moves[i].from;
			batch_call(b, 0, SYS_dup3, (uint64_t)from, (uint64_t)spare, O_CLOEXEC);
		}
		if (moves[i].from == from)
			moves[i].from = spare;
	}
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

/* A number that is neither a source nor a destination. */
static int free_number(const struct rebuild *r, const struct rebuilt_task *t)
{
	const Rec__Task *m = t->record;

	for (int n = 0;; n++) {
		bool used = false;

		vec_each(f, &r->files)
			used = used || f->fd == n;
		vec_each(l, &t->late)
			used = used || l->fd == n;
		for (size_t i = 0; i < m->n_slots && !used; i++)
			used = (int)m->slots[i]->fd == n;
		if (!used)
			return n;
	}
}

int arrange_descriptors(const struct rebuild *r, const struct rebuilt_task *t, struct error **err)
{
	struct injection *in = t->injection;
	const Rec__Task *m = t->record;
	struct move *moves = calloc(m->n_slots + 1, sizeof *moves);
	struct batch b cleanup_batch = {0};
	int res = 0;

	if (!moves || batch_init(&b, in->region) < 0) {
		free(moves);
		return fail(err, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct rebuilt_file *f = rebuilt_file(r, m->slots[i]->file);

		moves[i] = (struct move){source_of(t, f), (int)m->slots[i]->fd, m->slots[i]->cloexec, false};
	}
	do {
		res = order_moves(moves, m->n_slots, in, &b, err);
		if (res == -ELOOP) {
			int spare = free_number(r, t);

			break_cycle(moves, m->n_slots, spare, &b);
		}
	} while (res == -ELOOP);
	if (res == 0)
		res = run_batch(in, &b, doing, err);
	if (res == 0)
		res = close_others(m, in, &b, err);
	free(moves);
	return res;
}

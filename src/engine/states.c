#include "engine/states.h"

#include <errno.h>
#include <inttypes.h>

int states_begin(struct state_calls *c, const struct injection *in, struct error **err)
{
	return batch_init(&c->batch, in->region) < 0 ? fail(err, ENOMEM, "out of memory") : 0;
}

void states_free(struct state_calls *c)
{
	batch_free(&c->batch);
	vec_free(&c->marks);
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

/* What added the call; NULL: no kind did. */
static const char *added_by(const struct state_calls *c, uint32_t entry)
{
	const char *what = NULL;

	vec_each(mark, &c->marks)
		if (mark->first <= entry)
			what = mark->what;
	return what;
}

int states_run(struct injection *in, struct state_calls *c, struct error **err)
{
	uint32_t failed;
	int res = c->batch.count || c->batch.overflow ? inject_run(in, &c->batch, &failed, err) : 0;

	if (res < 0 && failed != UINT32_MAX) {
		const struct batch_entry *e = batch_entry(&c->batch, failed);
		const char *what = added_by(c, failed);

		res = fail_errno(err, -res, "restoring %s failed (system call %" PRIu64 ", 0x%" PRIx64 ")",
				 what ? what : "a thread", e->nr, e->args[0]);
	}
	batch_clear(&c->batch);
	c->marks.count = 0;
	return res;
}

/* As it is written down; 1: there is no room behind what others have added. */
static int try_rebuild(const struct rebuild *r, const struct kind *k, const struct rebuilt_thread *th,
		       struct state_calls *c, struct error **err)
{
	struct state_mark *mark = vec_push(&c->marks);
	uint32_t count = c->batch.count;
	size_t used = c->batch.scratch_used;
	struct error *why = NULL;
	int res;

	if (!mark)
		return fail(err, ENOMEM, "out of memory");
	*mark = (struct state_mark){count, k->name};
	res = k->state->rebuild(r, th, state_of(r, k, th), &c->batch, &why);
	if (count && (res == -E2BIG || c->batch.overflow)) {
		batch_truncate(&c->batch, count, used);
		c->marks.count--;
		res = 1;
		error_freep(&why);
	}
	error_merge(err, &why);
	return res;
}

static int rebuild_state(const struct rebuild *r, const struct kind *k,
			 const struct rebuilt_thread *th, struct injection *in,
			 struct state_calls *c, struct error **err)
{
	int res = k->state->rebuild ? try_rebuild(r, k, th, c, err) : 0;

	if (res > 0) {
		res = states_run(in, c, err);
		if (res == 0)
			res = try_rebuild(r, k, th, c, err);
	}
	if (res == 0 && k->state->rebuild_outside)
		res = k->state->rebuild_outside(r, th, state_of(r, k, th), err);
	return res;
}

int states_add(const struct rebuild *r, const struct rebuilt_thread *th, enum state_phase phase,
	       struct injection *in, struct state_calls *c, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < kinds_count && res == 0; i++)
		if (kinds[i]->state && kinds[i]->state->phase == phase && concerns(kinds[i], th))
			res = rebuild_state(r, kinds[i], th, in, c, err);
	return res;
}

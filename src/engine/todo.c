#include "engine/todo.h"

#include <errno.h>
#include <string.h>

/* The first range that ends behind address. */
static size_t first_behind(const struct todo *t, uint64_t address)
{
	size_t lo = 0, hi = t->list.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->list.items[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int insert(struct todo *t, size_t at, struct todo_range range)
{
	if (!vec_push(&t->list))
		return -ENOMEM;
	memmove(&t->list.items[at + 1], &t->list.items[at],
		(t->list.count - 1 - at) * sizeof range);
	t->list.items[at] = range;
	return 0;
}

static void drop(struct todo *t, size_t at)
{
	t->list.count--;
	memmove(&t->list.items[at], &t->list.items[at + 1],
		(t->list.count - at) * sizeof *t->list.items);
}

int todo_append(struct todo *t, uint64_t start, uint64_t end)
{
	struct todo_range *last = t->list.count ? &t->list.items[t->list.count - 1] : NULL;

	if (last && last->end == start && last->origin == last->start) {
		last->end = end;
		return 0;
	}
	return insert(t, t->list.count, (struct todo_range){start, end, start});
}

int todo_remove(struct todo *t, uint64_t start, uint64_t end)
{
	size_t i = first_behind(t, start);

	while (i < t->list.count && t->list.items[i].start < end) {
		struct todo_range *r = &t->list.items[i];
		struct todo_range rest = {end, r->end, r->origin + (end - r->start)};

		if (r->start < start && r->end > end) {
			r->end = start;
			return insert(t, i + 1, rest);
		}
		if (r->start < start)
			t->list.items[i++].end = start;
		else if (r->end > end)
			t->list.items[i++] = rest;
		else
			drop(t, i);
	}
	return 0;
}

int todo_move(struct todo *t, uint64_t from, uint64_t to, uint64_t length)
{
	struct todo moving = {0};
	int res = 0;

	for (size_t i = first_behind(t, from);
	     i < t->list.count && t->list.items[i].start < from + length && res == 0; i++) {
		const struct todo_range *r = &t->list.items[i];
		uint64_t start = r->start > from ? r->start : from;
		uint64_t end = r->end < from + length ? r->end : from + length;

		res = insert(&moving, moving.list.count,
			     (struct todo_range){start - from + to, end - from + to,
						 r->origin + (start - r->start)});
	}
	if (res == 0)
		res = todo_remove(t, from, from + length);
	/* The kernel tells of what was there before by itself. */
	if (res == 0)
		res = todo_remove(t, to, to + length);
	vec_each(r, &moving.list)
		if (res == 0)
			res = insert(t, first_behind(t, r->start), *r);
	t->moved = t->moved || moving.list.count;
	todo_free(&moving);
	return res;
}

int todo_copy(struct todo *to, const struct todo *from)
{
	*to = (struct todo){.moved = from->moved};
	for (size_t i = 0; i < from->list.count; i++) {
		struct todo_range *slot = vec_push(&to->list);

		if (!slot) {
			todo_free(to);
			return -ENOMEM;
		}
		*slot = from->list.items[i];
	}
	return 0;
}

void todo_free(struct todo *t)
{
	vec_free(&t->list);
}

const struct todo_range *todo_find(const struct todo *t, uint64_t address)
{
	size_t i = first_behind(t, address);

	return i < t->list.count && t->list.items[i].start <= address ? &t->list.items[i] : NULL;
}

bool todo_showing(const struct todo *t, size_t *at, uint64_t origin, uint64_t end,
		  struct todo_range *ret)
{
	/* As long as nothing was moved, origins are in order, too. */
	if (!t->moved && *at == 0)
		*at = first_behind(t, origin);
	for (; *at < t->list.count; ++*at) {
		const struct todo_range *r = &t->list.items[*at];
		uint64_t r_end = r->origin + (r->end - r->start);

		if (!t->moved && r->origin >= end)
			return false;
		if (r->origin >= end || r_end <= origin)
			continue;
		ret->origin = r->origin > origin ? r->origin : origin;
		ret->start = r->start + (ret->origin - r->origin);
		ret->end = r->start + ((r_end < end ? r_end : end) - r->origin);
		++*at;
		return true;
	}
	return false;
}

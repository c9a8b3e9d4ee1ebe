#include "engine/inherit.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

static int bad(struct error **err)
{
	return refuse(err, EBADMSG, NULL,
		      "the image contradicts itself: memory that a process has from another one "
		      "which does not have it");
}

static bool advised(const Rec__Area *a, uint32_t advice)
{
	for (size_t i = 0; i < a->n_advice; i++)
		if (a->advice[i] == advice)
			return true;
	return false;
}

/* Only the protection may differ: all else is said when a mapping is made. */
static bool compatible(const Rec__Area *a, const Rec__Area *b)
{
	if (a->special || b->special || a->flags != b->flags || a->file != b->file ||
	    (a->flags & MAP_TYPE) != MAP_PRIVATE || (a->flags & MAP_HUGETLB))
		return false;
	if (a->file && a->offset - a->start != b->offset - b->start)
		return false;
	return advised(a, MADV_HUGEPAGE) == advised(b, MADV_HUGEPAGE) &&
	       advised(a, MADV_NOHUGEPAGE) == advised(b, MADV_NOHUGEPAGE);
}

/* The area of m, from index *at on, that holds all of the range. */
static const Rec__Area *holder(const Rec__Memory *m, const Rec__Range *range, size_t *at)
{
	while (*at < m->n_areas && m->areas[*at]->end <= range->start)
		++*at;
	return *at < m->n_areas && m->areas[*at]->start <= range->start &&
			       range->end <= m->areas[*at]->end
		       ? m->areas[*at]
		       : NULL;
}

int inherit_plan(const Rec__Memory *child, const Rec__Memory *parent, struct kept_list *ret,
		 struct error **err)
{
	size_t at_child = 0, at_parent = 0;
	uint64_t last_end = 0;

	*ret = (struct kept_list){0};
	for (size_t i = 0; i < child->n_inherited; i++) {
		const Rec__Range *range = child->inherited[i];
		const Rec__Area *mine = holder(child, range, &at_child);
		const Rec__Area *theirs = holder(parent, range, &at_parent);
		struct kept *k = ret->list.count ? &ret->list.items[ret->list.count - 1] : NULL;

		if (!mine || !theirs || !compatible(mine, theirs) || range->start >= range->end ||
		    range->start < last_end || ((range->start | range->end) & 4095))
			return bad(err);
		last_end = range->end;
		if (k && k->area == mine && range->end <= k->end) {
			k->last = i + 1;
			continue;
		}
		k = vec_push(&ret->list);
		if (!k)
			return fail(err, ENOMEM, "out of memory");
		*k = (struct kept){.start = mine->start > theirs->start ? mine->start : theirs->start,
				   .end = mine->end < theirs->end ? mine->end : theirs->end,
				   .area = mine,
				   .first = i,
				   .last = i + 1};
	}
	return 0;
}

void kept_free(struct kept_list *l)
{
	vec_free(&l->list);
}

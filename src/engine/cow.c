#include "engine/cow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "inject/pagemap.h"
#include "task/append.h"

/* What is compared at once, of the parent and of a child, stays in a processor's cache. */
#define CHUNK_PAGES 64u
#define CHUNK ((uint64_t)CHUNK_PAGES * ARCH_PAGE_SIZE)

/* A part of the parent's memory, which is read once for all of its children. */
struct elder {
	const struct kin *kin;
	const Rec__Area *area;
	uint64_t start;
	size_t pages;
	uint64_t entries[CHUNK_PAGES];
	bool there[CHUNK_PAGES]; /* in bytes */
	unsigned char bytes[CHUNK];
};

/* A child's side of it. */
struct younger {
	struct inheritance *it;
	size_t area; /* those before it end before what is compared now */
	struct page_ranges same;
};

struct comparison {
	struct elder elder;
	struct younger *children;
	size_t count;
	struct page_walk walk;     /* of the parent's pages, */
	struct page_ranges ranges; /* and those of an area */
	uint64_t entries[CHUNK_PAGES]; /* of the child whose turn it is */
	unsigned char bytes[CHUNK];
};

static bool has_advice(const Rec__Area *a, uint32_t advice)
{
	for (size_t i = 0; i < a->n_advice; i++)
		if (a->advice[i] == advice)
			return true;
	return false;
}

static bool is_private(const Rec__Area *a)
{
	return !a->special && (a->flags & MAP_TYPE) == MAP_PRIVATE && !(a->flags & MAP_HUGETLB) &&
	       !has_advice(a, MADV_DONTFORK) && !has_advice(a, MADV_WIPEONFORK);
}

/* What fork(2) makes of the one can be the other. */
static bool alike(const Rec__Area *a, const Rec__Area *b)
{
	return is_private(a) && is_private(b) && a->file == b->file &&
	       (a->file == 0 || a->offset - a->start == b->offset - b->start);
}

/* limit: an area of either begins there, and so does a range of the result. */
static int add_same(struct page_ranges *same, uint64_t limit, uint64_t start, uint64_t end)
{
	struct page_range *last = same->list.count ? &same->list.items[same->list.count - 1] : NULL;

	if (last && last->end == start && start != limit) {
		last->end = end;
		return 0;
	}
	last = vec_push(&same->list);
	if (!last)
		return -ENOMEM;
	*last = (struct page_range){start, end};
	return 0;
}

/* Of these pages those that no child has asked for before. */
static int read_elder(struct elder *e, size_t first, size_t pages)
{
	int r = 0;

	for (size_t i = first, n; i < first + pages && r == 0; i += n) {
		for (n = 1; i + n < first + pages && e->there[i + n] == e->there[i]; n++)
			;
		if (e->there[i])
			continue;
		r = source_peek(e->kin->source, e->start + i * ARCH_PAGE_SIZE,
				e->bytes + i * ARCH_PAGE_SIZE, n * ARCH_PAGE_SIZE);
		memset(e->there + i, r == 0, n);
	}
	return r;
}

/* Pages that several processes have, at an address in both: the same ones when they are equal. */
static int compare_run(struct comparison *c, struct younger *y, uint64_t limit, size_t first,
		       size_t pages)
{
	uint64_t start = c->elder.start + first * ARCH_PAGE_SIZE;
	int r = source_peek(y->it->child.source, start, c->bytes, pages * ARCH_PAGE_SIZE);

	if (r == 0)
		r = read_elder(&c->elder, first, pages);
	for (size_t i = 0; i < pages && r == 0; i++) {
		uint64_t at = start + i * ARCH_PAGE_SIZE;

		if (!memcmp(c->bytes + i * ARCH_PAGE_SIZE,
			    c->elder.bytes + (first + i) * ARCH_PAGE_SIZE, ARCH_PAGE_SIZE))
			r = add_same(&y->same, limit, at, at + ARCH_PAGE_SIZE);
	}
	return r;
}

/* Every page of a frozen clone was shared: with the target. */
static bool may_be_shared(const struct kin *k, uint64_t entry)
{
	return k->source->frozen ? pagemap_is_own(entry) : pagemap_is_shared(entry);
}

static bool may_be_same(const struct comparison *c, const struct younger *y, size_t i)
{
	uint64_t ours = c->entries[i], theirs = c->elder.entries[i];

	return may_be_shared(&y->it->child, ours) && may_be_shared(c->elder.kin, theirs) &&
	       pagemap_frame(ours) == pagemap_frame(theirs);
}

/* The pages of [start, end), which lie within the chunk. */
static int compare_part(struct comparison *c, struct younger *y, uint64_t limit, uint64_t start,
			uint64_t end)
{
	size_t i = (start - c->elder.start) / ARCH_PAGE_SIZE;
	size_t last = (end - c->elder.start) / ARCH_PAGE_SIZE;
	int r = pagemap_read(y->it->child.source->pagemap, start, last - i, c->entries + i);

	for (size_t n; i < last && r == 0; i += n) {
		bool same = may_be_same(c, y, i), known = pagemap_frame(c->entries[i]) != 0;
		uint64_t at = c->elder.start + i * ARCH_PAGE_SIZE;

		for (n = 1; i + n < last && may_be_same(c, y, i + n) == same &&
			    (pagemap_frame(c->entries[i + n]) != 0) == known; n++)
			;
		if (!same)
			continue;
		/* Who is told which page of the machine it is need not look at it. */
		r = known ? add_same(&y->same, limit, at, at + n * ARCH_PAGE_SIZE)
			  : compare_run(c, y, limit, i, n);
	}
	return r;
}

/* Areas are in the order of their addresses, and so are the chunks. */
static int compare_child(struct comparison *c, struct younger *y)
{
	const Rec__Memory *m = y->it->child.memory;
	const struct elder *e = &c->elder;
	uint64_t end = e->start + e->pages * ARCH_PAGE_SIZE;
	int r = 0;

	while (y->area < m->n_areas && m->areas[y->area]->end <= e->start)
		y->area++;
	for (size_t i = y->area; i < m->n_areas && m->areas[i]->start < end && r == 0; i++) {
		const Rec__Area *a = m->areas[i];
		uint64_t limit = a->start > e->area->start ? a->start : e->area->start;

		if (alike(a, e->area))
			r = compare_part(c, y, limit, a->start > e->start ? a->start : e->start,
					 a->end < end ? a->end : end);
	}
	return r;
}

static int cannot_compare(const struct comparison *c, const struct younger *y, int r,
			  struct error **err)
{
	return fail_errno(err, -r, "cannot compare the memory of processes %d and %d",
			  y->it->child.task->pid, c->elder.kin->task->pid);
}

static int compare_chunk(struct comparison *c, uint64_t start, size_t pages, struct error **err)
{
	struct elder *e = &c->elder;
	int r = pagemap_read(e->kin->source->pagemap, start, pages, e->entries);

	e->start = start;
	e->pages = pages;
	memset(e->there, 0, sizeof e->there);
	for (size_t i = 0; i < c->count; i++) {
		if (r == 0)
			r = compare_child(c, &c->children[i]);
		if (r < 0)
			return cannot_compare(c, &c->children[i], r, err);
	}
	return 0;
}

static int compare_area(struct comparison *c, const Rec__Area *a, struct error **err)
{
	int r;

	c->elder.area = a;
	c->ranges.list.count = 0;
	r = source_ranges(c->elder.kin->source, &c->walk, a,
			  (struct page_range){a->start, a->end}, &c->ranges);
	if (r < 0)
		return cannot_compare(c, &c->children[0], r, err);
	for (size_t i = 0; i < c->ranges.list.count && r == 0; i++) {
		struct page_range range = c->ranges.list.items[i];

		while (range.start < range.end && r == 0) {
			uint64_t left = range.end - range.start;
			size_t pages = left < CHUNK ? left / ARCH_PAGE_SIZE : CHUNK_PAGES;

			r = compare_chunk(c, range.start, pages, err);
			range.start += pages * ARCH_PAGE_SIZE;
		}
	}
	return r;
}

static int fill_record(const struct page_ranges *same, struct inheritance *ret)
{
	ret->ranges = calloc(same->list.count + 1, sizeof *ret->ranges);
	if (!ret->ranges)
		return -ENOMEM;
	vec_each(range, &same->list) {
		Rec__Range *r = malloc(sizeof *r);

		if (!r)
			return -ENOMEM;
		rec__range__init(r);
		r->start = range->start;
		r->end = range->end;
		ret->ranges[ret->count++] = r;
	}
	return 0;
}

static int compare_all(struct comparison *c, struct inheritance *children, struct error **err)
{
	const Rec__Memory *m = c->elder.kin->memory;
	int r = 0;

	for (size_t i = 0; i < c->count; i++)
		c->children[i].it = &children[i];
	for (size_t i = 0; i < m->n_areas && r == 0; i++)
		if (is_private(m->areas[i]))
			r = compare_area(c, m->areas[i], err);
	for (size_t i = 0; i < c->count && r == 0; i++)
		if (fill_record(&c->children[i].same, &children[i]) < 0)
			r = fail(err, ENOMEM, "out of memory");
	return r;
}

int find_inherited(struct inheritance *children, size_t count, const struct kin *parent,
		   struct error **err)
{
	struct comparison *c = count ? calloc(1, sizeof *c) : NULL;
	int r;

	if (!count)
		return 0;
	if (c)
		c->children = calloc(count, sizeof *c->children);
	if (c && c->children) {
		c->elder.kin = parent;
		c->count = count;
		r = compare_all(c, children, err);
		for (size_t i = 0; i < count; i++)
			vec_free(&c->children[i].same.list);
		vec_free(&c->ranges.list);
		vec_free(&c->walk.found.list);
		free(c->children);
	} else {
		r = fail(err, ENOMEM, "out of memory");
	}
	free(c);
	return r;
}

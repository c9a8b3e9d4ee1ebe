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

#define CHUNK_PAGES 256u

/* One of the two processes. */
struct side {
	const struct kin *kin;
	uint64_t entries[CHUNK_PAGES];
	unsigned char bytes[CHUNK_PAGES * ARCH_PAGE_SIZE];
};

struct comparison {
	struct side child, parent;
	struct page_walk walk;
	struct page_ranges pages; /* of the child, in the range that is being compared */
	struct page_ranges same;
	uint64_t limit; /* an area of either begins here: ranges of the result end */
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

static int add_same(struct comparison *c, uint64_t start, uint64_t end)
{
	struct page_ranges *same = &c->same;
	struct page_range *last = same->list.count ? &same->list.items[same->list.count - 1] : NULL;

	if (last && last->end == start && start != c->limit) {
		last->end = end;
		return 0;
	}
	last = vec_push(&same->list);
	if (!last)
		return -ENOMEM;
	*last = (struct page_range){start, end};
	return 0;
}

static int read_side(struct side *s, uint64_t address, size_t size)
{
	return source_peek(s->kin->source, address, s->bytes, size);
}

static int read_entries(struct side *s, uint64_t start, size_t pages)
{
	return pagemap_read(s->kin->source->pagemap, start, pages, s->entries);
}

/* Pages that several processes have, at an address in both: the same ones when they are equal. */
static int compare_run(struct comparison *c, uint64_t start, size_t pages)
{
	int r = read_side(&c->child, start, pages * ARCH_PAGE_SIZE);

	if (r == 0)
		r = read_side(&c->parent, start, pages * ARCH_PAGE_SIZE);
	for (size_t i = 0; i < pages && r == 0; i++) {
		uint64_t at = start + i * ARCH_PAGE_SIZE;

		if (!memcmp(c->child.bytes + i * ARCH_PAGE_SIZE,
			    c->parent.bytes + i * ARCH_PAGE_SIZE, ARCH_PAGE_SIZE))
			r = add_same(c, at, at + ARCH_PAGE_SIZE);
	}
	return r;
}

/* Every page of a frozen clone was shared: with the target. */
static bool may_be_shared(const struct side *s, size_t i)
{
	return s->kin->source->frozen ? pagemap_is_own(s->entries[i])
				      : pagemap_is_shared(s->entries[i]);
}

static bool may_be_same(const struct comparison *c, size_t i)
{
	return may_be_shared(&c->child, i) && may_be_shared(&c->parent, i) &&
	       pagemap_frame(c->child.entries[i]) == pagemap_frame(c->parent.entries[i]);
}

static int compare_chunk(struct comparison *c, uint64_t start, size_t pages)
{
	int r = read_entries(&c->child, start, pages);

	if (r == 0)
		r = read_entries(&c->parent, start, pages);
	for (size_t i = 0, n; i < pages && r == 0; i += n) {
		bool same = may_be_same(c, i), known = pagemap_frame(c->child.entries[i]) != 0;
		uint64_t at = start + i * ARCH_PAGE_SIZE;

		for (n = 1; i + n < pages && may_be_same(c, i + n) == same &&
			    (pagemap_frame(c->child.entries[i + n]) != 0) == known; n++)
			;
		if (!same)
			continue;
		/* Who is told which page of the machine it is need not look at it. */
		r = known ? add_same(c, at, at + n * ARCH_PAGE_SIZE) : compare_run(c, at, n);
	}
	return r;
}

static int compare_range(struct comparison *c, const Rec__Area *a, uint64_t start, uint64_t end)
{
	int r;

	c->limit = start;
	c->pages.list.count = 0;
	r = source_ranges(c->child.kin->source, &c->walk, a,
			  (struct page_range){start, end}, &c->pages);
	for (size_t i = 0; i < c->pages.list.count && r == 0; i++) {
		struct page_range range = c->pages.list.items[i];

		while (range.start < range.end && r == 0) {
			size_t pages = (range.end - range.start) / ARCH_PAGE_SIZE;

			if (pages > CHUNK_PAGES)
				pages = CHUNK_PAGES;
			r = compare_chunk(c, range.start, pages);
			range.start += pages * ARCH_PAGE_SIZE;
		}
	}
	return r;
}

/* Both lists are in the order of addresses. */
static int compare_areas(struct comparison *c, const Rec__Memory *a, const Rec__Memory *b)
{
	int r = 0;

	for (size_t i = 0, k = 0; i < a->n_areas && k < b->n_areas && r == 0;) {
		const Rec__Area *x = a->areas[i], *y = b->areas[k];
		uint64_t start = x->start > y->start ? x->start : y->start;
		uint64_t end = x->end < y->end ? x->end : y->end;

		if (start < end && alike(x, y))
			r = compare_range(c, x, start, end);
		if (x->end <= end)
			i++;
		if (y->end <= end)
			k++;
	}
	return r;
}

static int fill_record(const struct comparison *c, Rec__Range ***ret, size_t *ret_count)
{
	*ret = calloc(c->same.list.count + 1, sizeof **ret);
	if (!*ret)
		return -ENOMEM;
	vec_each(range, &c->same.list) {
		Rec__Range *r = malloc(sizeof *r);

		if (!r)
			return -ENOMEM;
		rec__range__init(r);
		r->start = range->start;
		r->end = range->end;
		(*ret)[(*ret_count)++] = r;
	}
	return 0;
}

int find_inherited(const struct kin *child, const struct kin *parent, Rec__Range ***ret,
		   size_t *ret_count, struct error **err)
{
	struct comparison *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail(err, ENOMEM, "out of memory");
	c->child.kin = child;
	c->parent.kin = parent;
	r = compare_areas(c, child->memory, parent->memory);
	if (r == 0)
		r = fill_record(c, ret, ret_count);
	vec_free(&c->pages.list);
	vec_free(&c->walk.found.list);
	vec_free(&c->same.list);
	free(c);
	return r == 0 ? 0
		      : fail_errno(err, -r, "cannot compare the memory of processes %d and %d",
				   child->task->pid, parent->task->pid);
}

/* What only the page tables tell of a mapping: huge pages, and guards within it. */
#include "engine/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "engine/mappings.h"
#include "inject/pagemap.h"

#define HUGE_PAGE (UINT64_C(2) << 20)
#define PAGES_PER_HUGE (HUGE_PAGE / ARCH_PAGE_SIZE)

static int add_range(uint64_t start, uint64_t end, Rec__Range ***to, size_t *count)
{
	Rec__Range **grown = *count & (*count - 1) ? *to : realloc(*to, (*count ? *count * 2 : 1) *
										sizeof **to);
	Rec__Range *r = grown ? malloc(sizeof *r) : NULL;

	if (grown)
		*to = grown;
	if (!r)
		return -ENOMEM;
	rec__range__init(r);
	r->start = start;
	r->end = end;
	(*to)[(*count)++] = r;
	return 0;
}

/* The part of the ranges that lies in the area.  Both are asked for in the order of addresses. */
static int add_part(const struct page_ranges *from, size_t *at, const Rec__Area *a,
		    Rec__Range ***to, size_t *count)
{
	int r = 0;

	while (*at < from->list.count && from->list.items[*at].end <= a->start)
		++*at;
	for (size_t i = *at; i < from->list.count && from->list.items[i].start < a->end && r == 0;
	     i++) {
		const struct page_range *range = &from->list.items[i];

		r = add_range(range->start > a->start ? range->start : a->start,
			      range->end < a->end ? range->end : a->end, to, count);
	}
	return r;
}

/* All of its small pages are there. */
static bool is_full(int pagemap, uint64_t address)
{
	uint64_t entries[PAGES_PER_HUGE];

	if (pagemap_read(pagemap, address, PAGES_PER_HUGE, entries) < 0)
		return false;
	for (size_t i = 0; i < PAGES_PER_HUGE; i++)
		if (!pagemap_is_there(entries[i]))
			return false;
	return true;
}

/*
 * Before PAGEMAP_SCAN (Linux 6.7) there is only how much of a mapping is huge: nearly always all of it.
 * Where it is a part, it is taken for the first that could be; to make others huge costs nothing.
 */
static int guess_huge(int pagemap, Rec__Area *a, uint64_t left)
{
	uint64_t first = (a->start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uint64_t last = a->end & ~(HUGE_PAGE - 1);
	int r = 0;

	if (first < last && left >= last - first)
		return add_range(first, last, &a->huge, &a->n_huge);
	for (uint64_t at = first; at < last && left >= HUGE_PAGE && r == 0;
	     at += HUGE_PAGE) {
		if (!is_full(pagemap, at))
			continue;
		left -= HUGE_PAGE;
		if (a->n_huge && a->huge[a->n_huge - 1]->end == at)
			a->huge[a->n_huge - 1]->end = at + HUGE_PAGE;
		else
			r = add_range(at, at + HUGE_PAGE, &a->huge, &a->n_huge);
	}
	return r;
}

/* The whole address space in one go: a call for each mapping costs more than what it finds out. */
static int find_kinds(const struct task *task, Rec__Memory *m, struct page_kinds *found)
{
	cleanup_close int pagemap = openat(task->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	size_t guards = 0, huge = 0;
	int r = pagemap < 0 ? -errno
			    : pagemap_kinds(pagemap, m->areas[0]->start,
					    m->areas[m->n_areas - 1]->end, found);

	for (size_t i = 0; i < m->n_areas && r == 0; i++) {
		Rec__Area *a = m->areas[i];
		const struct vm_area *seen = maps_find(&task->areas, a->start);

		if (a->special)
			continue;
		r = add_part(&found->guards, &guards, a, &a->guards, &a->n_guards);
		if (r == 0 && seen && seen->anon_huge)
			r = found->huge.list.count
				    ? add_part(&found->huge, &huge, a, &a->huge, &a->n_huge)
				    : guess_huge(pagemap, a, seen->anon_huge);
	}
	return r;
}

int capture_page_kinds(const struct task *task, Rec__Memory *m, struct error **err)
{
	struct page_kinds found = {0};
	int r = m->n_areas ? find_kinds(task, m, &found) : 0;

	vec_free(&found.guards.list);
	vec_free(&found.huge.list);
	return r == 0 ? 0 : fail_errno(err, -r, "cannot see the pages of process %d", task->pid);
}

/*
 * Where a template has all of a huge page it is given one before its memory is read.  Forking then
 * copies one entry instead of 512; to make huge pages of small ones afterwards would copy all of the
 * memory once more, which takes three times as long as reading it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/pages.h"
#include "engine/ranges.h"
#include "engine/template.h"
#include "image/reader.h"
#include "kind/kind.h"

#define HUGE_PAGE (UINT64_C(2) << 20)
/* With more of them the area would be written in the slow way: paste.h. */
#define MOST_RANGES 64

static int add(struct page_ranges *to, uint64_t start, uint64_t end, struct error **err)
{
	return pagemap_add(to, start, end) < 0 ? fail(err, ENOMEM, "out of memory") : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct page_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The image has them in any order; this is for those that are in none. */
static int put_in_order(struct page_ranges *pages, struct error **err)
{
	struct page_ranges sorted = {0};
	int res = 0;

	if (pages->list.count)
		qsort(pages->list.items, pages->list.count, sizeof *pages->list.items, by_start);
	vec_each(p, &pages->list)
		if (res == 0)
			res = add(&sorted, p->start, p->end, err);
	vec_free(&pages->list);
	*pages = sorted;
	return res;
}

/* What will be there, by the tables of the frames: their data is not read. */
static int find_pages(const struct rebuilt_task *t, const char *image, struct page_ranges *ret,
		      struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	const Rec__Memory *m = t->memory;
	struct image_frame frame;
	int res = image_reader_open(&reader, image, err);

	if (res == 0)
		image_reader_skip_data(reader);
	while (res == 0 && (res = image_reader_next(reader, &frame, err)) > 0) {
		res = 0;
		for (size_t i = 0; i < frame.run_count && res == 0; i++) {
			const struct page_run *run = &frame.runs[i];

			if (run->object == MEMORY_OBJECT(t->record->pid))
				res = add(ret, run->offset, run->offset + run->length, err);
		}
	}
	/* Of an incremental image: its parents have the rest. */
	for (size_t i = 0; i < m->n_unchanged && res == 0; i++)
		res = add(ret, m->unchanged[i]->start, m->unchanged[i]->end, err);
	return res < 0 ? res : put_in_order(ret, err);
}

static bool is_eligible(const Rec__Area *a)
{
	for (size_t i = 0; i < a->n_advice; i++)
		if (a->advice[i] == MADV_NOHUGEPAGE)
			return false;
	return !a->special && !a->file && (a->prot & PROT_WRITE) &&
	       (a->flags & MAP_TYPE) == MAP_PRIVATE && a->end - a->start >= HUGE_PAGE;
}

static int note_area(Rec__Area *a, const struct page_ranges *pages, size_t *at, struct error **err)
{
	struct page_ranges found cleanup_ranges = {0};
	Rec__Range **old = a->huge;
	size_t count = a->n_huge;
	int res = 0;

	while (*at < pages->list.count && pages->list.items[*at].end <= a->start)
		++*at;
	for (size_t i = *at; i < pages->list.count && pages->list.items[i].start < a->end; i++) {
		const struct page_range *p = &pages->list.items[i];
		uint64_t start = p->start > a->start ? p->start : a->start;
		uint64_t end = p->end < a->end ? p->end : a->end;

		start = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
		end &= ~(HUGE_PAGE - 1);
		if (start < end && res == 0)
			res = add(&found, start, end, err);
	}
	if (res < 0 || !found.list.count || found.list.count > MOST_RANGES)
		return res;
	a->n_huge = 0;
	a->huge = NULL;
	if (ranges_to_record(&found, &a->n_huge, &a->huge) < 0)
		res = fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		message_free(&old[i]->base);
	free(old);
	return res;
}

int template_note_huge(struct template *t, const char *image, struct error **err)
{
	struct page_ranges pages cleanup_ranges = {0};
	const Rec__Memory *m = t->task->memory;
	size_t at = 0;
	int res = find_pages(t->task, image, &pages, err);

	for (size_t i = 0; i < m->n_areas && res == 0; i++)
		if (is_eligible(m->areas[i]))
			res = note_area(m->areas[i], &pages, &at, err);
	return res;
}

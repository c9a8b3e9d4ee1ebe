/*
 * Tables and sets: headers of frames, tables of runs, and the arithmetic of ranges, which is
 * compared with one that does it page by page.
 */
#include "engine/ranges.h"
#include "pieces.h"

#define PAGES 2048
#define RANGES_MAX 256

static void use_frames(const uint8_t *data, size_t size)
{
	struct image_frame_header h;
	struct image_header header;
	struct image_end end;
	cleanup_error struct error *err = NULL;

	image_header_decode(data, size < IMAGE_HEADER_SIZE ? size : IMAGE_HEADER_SIZE, "fuzz",
			    &header, &err);
	if (size >= IMAGE_FRAME_HEADER_SIZE)
		image_frame_header_decode(data, &h);
	if (size >= IMAGE_END_SIZE)
		image_end_decode(data, &end);
}

/* What passes the check is what the rest of the program relies on. */
static void use_runs(const uint8_t *data, size_t size)
{
	static struct page_run runs[IMAGE_MAX_RUNS];
	struct image_memory m;
	uint64_t sum = 0;

	if (size < IMAGE_MEMORY_PROLOGUE_SIZE || image_memory_decode(data, 12, &m))
		return;
	if (m.run_count == 0 || m.run_count > IMAGE_MAX_RUNS || m.raw_length > IMAGE_MAX_RAW)
		abort();
	if (m.run_count > (size - IMAGE_MEMORY_PROLOGUE_SIZE) / IMAGE_RUN_SIZE)
		return;
	image_runs_decode(data + IMAGE_MEMORY_PROLOGUE_SIZE, m.run_count, runs);
	if (image_runs_check(runs, m.run_count, m.raw_length, 12))
		return;
	for (size_t i = 0; i < m.run_count; i++) {
		if (runs[i].length == 0 || runs[i].length % 4096 || runs[i].offset % 4096 ||
		    runs[i].offset + runs[i].length < runs[i].offset)
			abort();
		sum += runs[i].length;
	}
	if (sum != m.raw_length)
		abort();
}

struct set {
	Rec__Range ranges[RANGES_MAX], *list[RANGES_MAX];
	size_t count;
	bool pages[PAGES];
};

/* Two bytes a range: so many pages behind the last one, so long. */
static void set_of(struct set *s, const uint8_t *data, size_t size)
{
	size_t at = 0;

	memset(s, 0, sizeof *s);
	for (size_t i = 0; i + 1 < size && s->count < RANGES_MAX; i += 2) {
		size_t start = at + data[i], end = start + data[i + 1] % 32 + 1;

		if (end > PAGES)
			break;
		s->ranges[s->count] = (Rec__Range)REC__RANGE__INIT;
		s->ranges[s->count].start = start * 4096;
		s->ranges[s->count].end = end * 4096;
		s->list[s->count] = &s->ranges[s->count];
		s->count++;
		memset(s->pages + start, 1, end - start);
		at = end;
	}
}

static void compare(const struct page_ranges *r, const struct set *a, const struct set *b,
		    bool both)
{
	static bool pages[PAGES];
	uint64_t last = 0;

	memset(pages, 0, sizeof pages);
	vec_each(range, &r->list) {
		if (range->start < last || range->start >= range->end ||
		    range->end > PAGES * UINT64_C(4096))
			abort();
		last = range->end;
		memset(pages + range->start / 4096, 1, (range->end - range->start) / 4096);
	}
	for (size_t i = 0; i < PAGES; i++)
		if (pages[i] != (a->pages[i] && b->pages[i] == both))
			abort();
}

static void use_ranges(const uint8_t *data, size_t size)
{
	static struct set a, b;
	struct page_ranges x cleanup_ranges = {0}, y cleanup_ranges = {0};
	struct page_ranges both cleanup_ranges = {0}, without cleanup_ranges = {0};

	set_of(&a, data, size / 2);
	set_of(&b, data + size / 2, size - size / 2);
	if (!ranges_in_order(a.count, a.list) || ranges_of_record(a.count, a.list, &x) < 0 ||
	    ranges_of_record(b.count, b.list, &y) < 0)
		abort();
	if (ranges_both(&x, &y, &both) < 0 || ranges_without(&x, &y, &without) < 0)
		abort();
	compare(&both, &a, &b, true);
	compare(&without, &a, &b, false);
	if (ranges_size(&both) + ranges_size(&without) != ranges_size(&x))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	use_frames(data, size);
	use_runs(data, size);
	use_ranges(data, size);
	return 0;
}

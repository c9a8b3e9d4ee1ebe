#include "engine/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "engine/mappings.h"
#include "engine/scribe.h"
#include "inject/pagemap.h"

/* A frame that is being filled. */
struct frame_fill {
	struct image_writer *w;
	const struct checkpoint_options *options;
	unsigned char *buf;
	unsigned char *elsewhere; /* where its bytes stand, if not in buf */
	size_t used;
	struct page_run runs[IMAGE_MAX_RUNS];
	size_t count;
	bool keep_zeros; /* what lies beneath is not zero: a file's page */
};

/* The caller frees it. */
static int begin_frames(struct frame_fill **ret, struct image_writer *w,
			const struct checkpoint_options *o, struct error **err)
{
	struct frame_fill *f = calloc(1, sizeof *f);

	if (!f || !image_writer_buffer(w)) {
		free(f);
		return fail(err, ENOMEM, "out of memory");
	}
	f->w = w;
	f->options = o;
	f->buf = image_writer_buffer(w);
	*ret = f;
	return 0;
}

static int flush_frame(struct frame_fill *f, struct error **err)
{
	int r = f->count ? image_writer_pages(f->w, f->runs, f->count, f->elsewhere, err) : 0;

	if (r == 0 && f->count)
		f->buf = image_writer_buffer(f->w);
	f->elsewhere = NULL;
	f->used = 0;
	f->count = 0;
	if (!f->buf)
		return fail(err, ENOMEM, "out of memory");
	if (r == 0 && f->options->progress)
		f->options->progress(f->options->progress_arg, image_writer_progress(f->w));
	return r;
}

static bool is_zero(const unsigned char *page)
{
	return page[0] == 0 && memcmp(page, page + 1, ARCH_PAGE_SIZE - 1) == 0;
}

/*
 * The bytes of (object, offset) stand behind those of the frame: they become runs, without
 * the pages that are zero.  The caller saw to it that there is room.
 */
static void add_pages(struct frame_fill *f, uint64_t object, uint64_t offset, size_t size,
		      unsigned char *from)
{
	unsigned char *frame = f->elsewhere ? f->elsewhere : f->buf;

	for (size_t at = 0; at < size; at += ARCH_PAGE_SIZE) {
		struct page_run *last = f->count ? &f->runs[f->count - 1] : NULL;

		if (!f->keep_zeros && is_zero(from + at))
			continue;
		if (frame + f->used != from + at)
			memmove(frame + f->used, from + at, ARCH_PAGE_SIZE);
		f->used += ARCH_PAGE_SIZE;
		if (last && last->object == object && last->offset + last->length == offset + at)
			last->length += ARCH_PAGE_SIZE;
		else
			f->runs[f->count++] = (struct page_run){object, offset + at, ARCH_PAGE_SIZE};
	}
}

/* How much may be read next: a page may become a run of its own. */
static size_t frame_room(const struct frame_fill *f)
{
	size_t bytes = IMAGE_WRITER_FRAME - f->used;
	size_t runs = (IMAGE_MAX_RUNS - f->count) * (size_t)ARCH_PAGE_SIZE;

	return bytes < runs ? bytes : runs;
}

/* The same path for all: whatever is there, and how it is read, is the reader's. */
typedef int read_fn(const void *source, uint64_t offset, void *buf, size_t size);

static int write_range(struct frame_fill *f, uint64_t object, uint64_t start, uint64_t end,
		       read_fn *read, const void *source, struct error **err)
{
	int r = f->elsewhere ? flush_frame(f, err) : 0;

	while (start < end && r == 0) {
		size_t size = end - start < frame_room(f) ? end - start : frame_room(f);

		r = size ? read(source, start, f->buf + f->used, size) : flush_frame(f, err);

		if (r < 0)
			return r;
		if (size)
			add_pages(f, object, start, size, f->buf + f->used);
		start += size;
	}
	return r;
}

/* Its bytes are in memory already, behind those of the frame, which is made there. */
static int write_near(struct frame_fill *f, uint64_t object, struct page_range range,
		      unsigned char *bytes, struct error **err)
{
	int r = f->elsewhere ? 0 : flush_frame(f, err);

	while (range.start < range.end && r == 0) {
		size_t left = range.end - range.start, room = frame_room(f);
		size_t size = left < room ? left : room;

		if (!f->elsewhere)
			f->elsewhere = bytes;
		add_pages(f, object, range.start, size, bytes);
		bytes += size;
		range.start += size;
		if (!frame_room(f))
			r = flush_frame(f, err);
	}
	return r;
}

/* An address space that is being written. */
struct space_fill {
	const struct task *task;
	const Rec__Memory *memory;
	const struct snapshot *snapshot;
	const struct page_source *source; /* of the area */
	struct scribe *scribe; /* NULL: there is none */
	bool by_scribe;        /* it writes the area */
	size_t inherited, unchanged; /* ranges of these before this one are passed */
	struct page_walk walk;
	struct page_ranges ranges;
};

static int write_pages(struct frame_fill *f, const struct space_fill *s, uint64_t start,
		       uint64_t end, struct error **err)
{
	uint64_t object = MEMORY_OBJECT(s->task->ns_pid);
	const struct page_range range = {start, end};
	unsigned char *near = s->by_scribe ? NULL : source_near(s->source, range);
	int r = s->by_scribe ? scribe_add(s->scribe, object, range, f->keep_zeros, err)
		: near	     ? write_near(f, object, range, near, err)
			     : write_range(f, object, start, end, source_read, s->source, err);

	if (r == 0 || (err && *err))
		return r;
	return fail_errno(err, -r, "cannot read memory at 0x%" PRIx64 " of process %d", start,
			  s->task->pid);
}

static const Rec__Range *next_range(Rec__Range *const *ranges, size_t count, size_t *passed,
				    uint64_t address)
{
	while (*passed < count && ranges[*passed]->end <= address)
		++*passed;
	return *passed < count ? ranges[*passed] : NULL;
}

/* The next range from address on that the parent process or the parent image has. */
static const Rec__Range *next_elsewhere(struct space_fill *s, uint64_t address)
{
	const Rec__Memory *m = s->memory;
	const Rec__Range *a = next_range(m->inherited, m->n_inherited, &s->inherited, address);
	const Rec__Range *b = next_range(m->unchanged, m->n_unchanged, &s->unchanged, address);

	return !a || (b && b->start < a->start) ? b : a;
}

/* All of the range but what is elsewhere as well. */
static int write_own(struct frame_fill *f, struct space_fill *s, struct page_range range,
		     struct error **err)
{
	int r = 0;

	while (range.start < range.end && r == 0) {
		const Rec__Range *skip = next_elsewhere(s, range.start);
		uint64_t end = skip && skip->start < range.end ? skip->start : range.end;

		if (range.start < end)
			r = write_pages(f, s, range.start, end, err);
		range.start = skip && skip->start < range.end ? skip->end : range.end;
	}
	return r;
}

static int write_area(struct frame_fill *f, struct space_fill *s, const Rec__Area *a,
		      struct error **err)
{
	int r;

	s->ranges.list.count = 0;
	f->keep_zeros = a->file != 0;
	s->source = snapshot_source(s->snapshot, a);
	r = source_ranges(s->source, &s->walk, a, (struct page_range){a->start, a->end},
			  &s->ranges);
	if (r < 0)
		return fail_errno(err, -r, "cannot see the pages at 0x%" PRIx64, a->start);
	for (size_t i = 0; i < s->ranges.list.count && r == 0; i++)
		r = write_own(f, s, s->ranges.list.items[i], err);
	return r;
}

/* What write(2) can read of it: its keys are the program's own. */
static bool is_readable(const Rec__Area *a)
{
	return (a->prot & PROT_READ) && !a->pkey;
}

/* Those areas that the scribe can write, or those that it cannot. */
static int write_areas(struct frame_fill *f, struct space_fill *s, bool by_scribe,
		       struct error **err)
{
	const Rec__Memory *m = s->memory;
	int r = 0;

	s->inherited = s->unchanged = 0;
	s->by_scribe = by_scribe;
	for (size_t i = 0; i < m->n_areas && r == 0; i++) {
		const Rec__Area *a = m->areas[i];
		bool can = s->scribe && is_readable(a) &&
			   snapshot_source(s->snapshot, a) == snapshot_whole(s->snapshot);

		if (area_is_private(a) && can == by_scribe)
			r = write_area(f, s, a, err);
	}
	return r;
}

int write_memory(struct image_writer *w, const struct checkpoint_options *o,
		 const struct task *task, const Rec__Memory *m, struct snapshot *snapshot,
		 struct error **err)
{
	struct space_fill s = {.task = task, .memory = m, .snapshot = snapshot};
	struct frame_fill *f;
	int r = begin_frames(&f, w, o, err);

	if (r < 0)
		return r;
	r = scribe_open(&s.scribe, &snapshot->twin, snapshot_whole(snapshot), w, o, err);
	if (r == 0 && s.scribe)
		r = write_areas(f, &s, true, err);
	if (r == 0 && s.scribe)
		r = scribe_finish(s.scribe, err);
	if (r == 0)
		r = write_areas(f, &s, false, err);
	if (r == 0)
		r = flush_frame(f, err);
	scribe_free(s.scribe);
	vec_free(&s.ranges.list);
	vec_free(&s.walk.found.list);
	free(f);
	return r;
}

static int read_content(const void *source, uint64_t offset, void *buf, size_t size)
{
	const struct content *c = source;
	ssize_t n = fd_pread(c->fd, buf, size, offset + c->shift);

	if (n < 0)
		return (int)n;
	/* The last page of a file ends where the file does. */
	memset((char *)buf + n, 0, size - (size_t)n);
	return 0;
}

int write_contents(struct image_writer *w, const struct checkpoint_options *o,
		   const struct capture *c, struct error **err)
{
	struct frame_fill *f;
	int r = begin_frames(&f, w, o, err);

	if (r < 0)
		return r;
	vec_each(it, &c->contents) {
		if (r < 0)
			break;
		r = write_range(f, it->object, it->offset, it->offset + it->length, read_content, it,
				err);
		if (r < 0 && err && !*err)
			fail_errno(err, -r, "cannot read the content of a file (%u)", it->object);
	}
	if (r == 0)
		r = flush_frame(f, err);
	free(f);
	return r;
}

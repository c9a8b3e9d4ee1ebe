#include "engine/fill.h"

#include <errno.h>
#include <inttypes.h>

#include "base/fd.h"
#include "engine/pages.h"
#include "engine/paste.h"
#include "kind/kind.h"

/* A task with less is filled sooner than the fast way is prepared. */
#define WORTH_SPEED ((uint64_t)2 << 20)

/* Who is being filled, for the threads that do it. */
struct filling {
	struct rebuild *rebuild;
	const struct rebuilt_task *task; /* NULL: contents of files */
	struct paste paste;
	uint64_t begun; /* bytes */
	bool fast;
	bool some; /* as in struct fill */
};

static void filling_end(struct filling *f)
{
	paste_end(&f->paste);
}

void fill_free(struct fill *fill)
{
	image_pump_freep(&fill->pump);
}

static int fill_content(const struct rebuild *r, const struct page_run *part, const void *data,
			struct error **err)
{
	const struct rebuilt_file *f = part->object <= UINT32_MAX
					       ? rebuilt_file(r, (uint32_t)part->object)
					       : NULL;
	int res;

	if (f)
		vec_each(s, &r->shared)
			if (s->space == f->kind->tag && s->key == part->object && s->fds[0] >= 0) {
				res = fd_pwrite(s->fds[0], data, part->length, part->offset);
				return res < 0 ? fail_errno(err, -res,
							    "cannot write the content of a file")
					       : 0;
			}
	return refuse(err, EBADMSG, NULL, "the image has content of a file (%" PRIu64
					  ") that keeps none", part->object);
}

/* Of some files only those that are open. */
static bool is_wanted(const struct filling *f, const struct page_run *part)
{
	const struct rebuilt_file *file = part->object <= UINT32_MAX
						  ? rebuilt_file(f->rebuild, (uint32_t)part->object)
						  : NULL;

	return !f->some || !file || !file->replaced;
}

/* From any thread. */
static int put(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	const struct filling *f = arg;

	if (!f->task && part->object < MEMORY_OBJECT(0))
		return is_wanted(f, part) ? fill_content(f->rebuild, part, data, err) : 0;
	if (f->task && part->object == MEMORY_OBJECT(f->task->record->pid))
		return paste_write(&f->paste, part->offset, data, part->length, err);
	return refuse(err, EBADMSG, NULL,
		      "the image has memory of a process that it does not have, or not in its turn");
}

/* So much more comes: a task that turns out to be large is filled in the fast way. */
static int expect(struct filling *f, struct fill *fill, uint64_t bytes, struct error **err)
{
	struct error *own = NULL;
	int res;

	f->begun += bytes;
	if (!f->task || f->fast || f->begun < WORTH_SPEED)
		return 0;
	f->fast = true;
	res = image_pump_wait(fill->pump, 0, &own, err);
	return res < 0 ? res : paste_speed_up(&f->paste, err);
}

static int fill_frame(struct filling *f, struct fill *fill, struct error **err)
{
	const struct image_sink sink = {put, f};
	const struct rebuild *r = f->rebuild;
	int res = expect(f, fill, fill->frame.stored.raw_length, err);

	if (res == 0)
		res = image_pump_frame(fill->pump, fill->reader, &fill->frame, &sink, err);
	if (res < 0)
		return res;
	fill->done += fill->frame.stored.raw_length;
	if (r->options->progress)
		r->options->progress(r->options->progress_arg, fill->done);
	res = image_reader_next(fill->reader, &fill->frame, err);
	fill->more = res > 0;
	if (res > 0 && fill->frame.type != IMAGE_TYPE_MEMORY)
		return refuse(err, EBADMSG, NULL, "the image has a record behind its memory");
	return res < 0 ? res : 0;
}

/* Whose turn the next frame is. */
static bool is_next(const struct filling *f, const struct fill *fill)
{
	uint64_t object = fill->more ? fill->frame.runs[0].object : 0;

	if (!fill->more)
		return false;
	return f->task ? object == MEMORY_OBJECT(f->task->record->pid) : object < MEMORY_OBJECT(0);
}

static int fill_frames(struct filling *f, struct fill *fill, struct error **err)
{
	struct error *own = NULL;
	int res = fill->pump ? 0 : image_pump_new(&fill->pump, err);

	if (res < 0)
		return res;
	while (res == 0 && is_next(f, fill))
		res = fill_frame(f, fill, &own);
	return image_pump_wait(fill->pump, res, &own, err);
}

int fill_contents(struct rebuild *r, struct fill *fill, struct error **err)
{
	struct filling f = {.rebuild = r, .paste = PASTE_NONE, .some = fill->some};

	return fill_frames(&f, fill, err);
}

int fill_known_contents(struct rebuild *r, struct fill *fill, struct error **err)
{
	fill->some = true;
	return fill_contents(r, fill, err);
}

/* What has not changed since the parent was written. */
static int fill_below(struct filling *f, const struct chain *c, struct fill *fill,
		      struct error **err)
{
	const struct image_sink sink = {put, f};
	const Rec__Memory *m = f->task->memory;
	uint64_t bytes = 0;
	int res;

	for (size_t i = 0; i < m->n_unchanged; i++)
		bytes += m->unchanged[i]->end - m->unchanged[i]->start;
	res = bytes ? expect(f, fill, bytes, err) : 0;
	return res < 0 || !bytes ? res : chain_pages(c, m, fill->pump, &sink, err);
}

int fill_memory(struct rebuild *r, struct rebuilt_task *t, const struct chain *c,
		struct fill *fill, struct error **err)
{
	struct filling f __attribute__((cleanup(filling_end))) = {.rebuild = r, .task = t};
	int res = paste_begin(&f.paste, r, t, err);

	if (res == 0)
		res = fill_frames(&f, fill, err);
	return res < 0 ? res : fill_below(&f, c, fill, err);
}

static int pass_frame(struct fill *fill, struct error **err)
{
	struct image_file file;
	int res = 0;

	/* It was verified when the first task was filled. */
	if (image_reader_file(fill->reader, &file))
		res = image_reader_leave_data(fill->reader, err);
	if (res == 0)
		res = image_reader_next(fill->reader, &fill->frame, err);
	fill->more = res > 0;
	return res < 0 ? res : 0;
}

int fill_skip(struct rebuild *r, struct fill *fill, struct error **err)
{
	uint64_t object = MEMORY_OBJECT(r->tasks.items[0]->record->pid);
	size_t others = 0;
	int res = 0;

	vec_each(t, &r->tasks)
		others += (*t)->memory && *t != r->tasks.items[0];
	while (res == 0 && fill->more && others && fill->frame.run_count &&
	       fill->frame.runs[0].object == object)
		res = pass_frame(fill, err);
	fill->more = fill->more && others;
	return res;
}

int fill_end(struct fill *fill, struct error **err)
{
	fill_free(fill);
	return fill->more ? refuse(err, EBADMSG, NULL,
				   "the image has memory of a process that it does not have, or not in "
				   "its turn")
			  : 0;
}

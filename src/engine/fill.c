#include "engine/fill.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "engine/pages.h"
#include "kind/kind.h"

/* The area that holds address; areas are sorted. */
static const Rec__Area *find_area(const Rec__Memory *m, uint64_t address)
{
	size_t lo = 0, hi = m->n_areas;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->areas[mid]->end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n_areas && m->areas[lo]->start <= address ? m->areas[lo] : NULL;
}

static int write_task(const struct rebuilt_task *t, const Rec__Area *a, uint64_t address,
		      const char *data, uint64_t size)
{
	struct iovec local = {(void *)data, size}, remote = {(void *)(uintptr_t)address, size};

	if ((a->prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE) &&
	    process_vm_writev(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)size)
		return 0;
	/* What the program may not write itself: /proc/PID/mem gives private copies of the pages. */
	return fd_pwrite(t->mem, data, size, address);
}

/* A run may span several areas: mappings that stand side by side. */
static int fill_task(const struct rebuilt_task *t, const struct page_run *run, const char *data,
		     struct error **err)
{
	for (uint64_t done = 0; done < run->length;) {
		uint64_t at = run->offset + done, size = run->length - done;
		const Rec__Area *a = find_area(t->memory, at);
		int res;

		if (!a || a->special || (a->flags & MAP_TYPE) != MAP_PRIVATE)
			return refuse(err, EBADMSG, NULL,
				      "the image has memory at 0x%" PRIx64 ", where the program has none",
				      at);
		if (size > a->end - at)
			size = a->end - at;
		res = write_task(t, a, at, data + done, size);
		if (res < 0)
			return fail_errno(err, -res, "cannot write the memory at 0x%" PRIx64, at);
		done += size;
	}
	return 0;
}

static int fill_content(struct rebuild *r, const struct page_run *run, const char *data,
			struct error **err)
{
	const struct rebuilt_file *f = run->object <= UINT32_MAX
					       ? rebuilt_file(r, (uint32_t)run->object)
					       : NULL;
	int res;

	if (f)
		vec_each(s, &r->shared)
			if (s->space == f->kind->tag && s->key == run->object && s->fds[0] >= 0) {
				res = fd_pwrite(s->fds[0], data, run->length, run->offset);
				return res < 0 ? fail_errno(err, -res,
							    "cannot write the content of a file")
					       : 0;
			}
	return refuse(err, EBADMSG, NULL, "the image has content of a file (%" PRIu64
					  ") that keeps none", run->object);
}

int fill_run(struct rebuild *r, const struct rebuilt_task *t, const struct page_run *run,
	     const char *data, struct error **err)
{
	if (!t && run->object < MEMORY_OBJECT(0))
		return fill_content(r, run, data, err);
	if (t && run->object == MEMORY_OBJECT(t->record->pid))
		return fill_task(t, run, data, err);
	return refuse(err, EBADMSG, NULL,
		      "the image has memory of a process that it does not have, or not in its turn");
}

/* Of some files only those that are open. */
static bool is_wanted(const struct rebuild *r, const struct fill *fill, const struct page_run *run)
{
	const struct rebuilt_file *f = run->object <= UINT32_MAX
					       ? rebuilt_file(r, (uint32_t)run->object) : NULL;

	return !fill->some || !f || !f->replaced;
}

static int fill_frame(struct rebuild *r, const struct rebuilt_task *t, struct fill *fill,
		      struct error **err)
{
	const char *data = fill->frame.data;
	int res;

	if (fill->frame.type != IMAGE_TYPE_MEMORY)
		return refuse(err, EBADMSG, NULL, "the image has a record behind its memory");
	for (size_t i = 0; i < fill->frame.run_count; i++) {
		res = is_wanted(r, fill, &fill->frame.runs[i])
			      ? fill_run(r, t, &fill->frame.runs[i], data, err) : 0;
		if (res < 0)
			return res;
		data += fill->frame.runs[i].length;
		fill->done += fill->frame.runs[i].length;
	}
	if (r->options->progress)
		r->options->progress(r->options->progress_arg, fill->done);
	res = image_reader_next(fill->reader, &fill->frame, err);
	fill->more = res > 0;
	return res < 0 ? res : 0;
}

int fill_contents(struct rebuild *r, struct fill *fill, struct error **err)
{
	int res = 0;

	while (res == 0 && fill->more && fill->frame.run_count &&
	       fill->frame.runs[0].object < MEMORY_OBJECT(0))
		res = fill_frame(r, NULL, fill, err);
	return res;
}

int fill_known_contents(struct rebuild *r, struct fill *fill, struct error **err)
{
	fill->some = true;
	return fill_contents(r, fill, err);
}

int fill_memory(struct rebuild *r, struct rebuilt_task *t, struct fill *fill, struct error **err)
{
	int res = 0;

	while (res == 0 && fill->more && fill->frame.run_count &&
	       fill->frame.runs[0].object == MEMORY_OBJECT(t->record->pid))
		res = fill_frame(r, t, fill, err);
	return res;
}

int fill_skip(struct rebuild *r, struct fill *fill, struct error **err)
{
	uint64_t object = MEMORY_OBJECT(r->tasks.items[0]->record->pid);
	size_t others = 0;
	int res = 0;

	vec_each(t, &r->tasks)
		others += (*t)->memory && *t != r->tasks.items[0];
	while (res == 0 && fill->more && others && fill->frame.run_count &&
	       fill->frame.runs[0].object == object) {
		res = image_reader_next(fill->reader, &fill->frame, err);
		fill->more = res > 0;
		res = res < 0 ? res : 0;
	}
	fill->more = fill->more && others;
	return res;
}

int fill_end(const struct fill *fill, struct error **err)
{
	return fill->more ? refuse(err, EBADMSG, NULL,
				   "the image has memory of a process that it does not have, or not in "
				   "its turn")
			  : 0;
}

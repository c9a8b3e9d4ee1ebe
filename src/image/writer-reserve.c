/* Frames whose data somebody else writes: reserved here, sealed with their hash by a thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/writer-parts.h"

/* Stays in the second level of a processor's cache while it is hashed. */
#define STEP ((size_t)256 << 10)
#define STEP_ALIGN ((size_t)4096)

/* A frame between its reservation and its header.  Offsets are the file's. */
struct seal {
	struct pipeline_job job;
	uint64_t header_at;
	uint64_t length; /* of the payload, which follows the header */
};

struct sealer {
	struct pipeline *pipeline;
	XXH3_state_t *hash;
	void *buf;      /* of STEP bytes */
	uint8_t *table; /* the next reserved frame's */
};

static int hash_payload(const struct image_writer *w, uint64_t at, uint64_t length,
			struct error **err)
{
	struct sealer *s = w->sealer;

	XXH3_64bits_reset(s->hash);
	while (length > 0) {
		size_t step = length < STEP ? (size_t)length : STEP;
		ssize_t n = fd_pread(w->read_fd, s->buf, step, at);

		if (n < 0)
			return fail_errno(err, (int)-n, "cannot read back %s", w->out.shown);
		if ((size_t)n < step)
			return fail(err, EIO, "%s could not be written: the file ends before its "
				    "data", w->out.shown);
		XXH3_64bits_update(s->hash, s->buf, step);
		at += step;
		length -= step;
	}
	return 0;
}

static int seal(void *arg, struct pipeline_job *job, unsigned worker, struct error **err)
{
	struct image_writer *w = arg;
	const struct seal *s = (const struct seal *)job;
	struct image_frame_header h = {.type = IMAGE_TYPE_MEMORY, .length = s->length};
	uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];
	int r = hash_payload(w, s->header_at + sizeof bytes, s->length, err);

	(void)worker;
	if (r < 0)
		return r;
	h.hash = XXH3_64bits_digest(w->sealer->hash);
	image_writer_chain(w, &h, bytes);
	r = image_output_write_at(&w->out, bytes, sizeof bytes, s->header_at, err);
	if (r == 0)
		image_output_begin_sync(&w->out, s->header_at, sizeof bytes + s->length);
	return r;
}

static void release(void *arg, struct pipeline_job *job)
{
	(void)arg;
	free(job);
}

void image_writer_free_sealer(struct image_writer *w)
{
	struct sealer *s = w->sealer;

	if (!s)
		return;
	pipeline_free(s->pipeline);
	XXH3_freeState(s->hash);
	free(s->buf);
	free(s->table);
	free(s);
	w->sealer = NULL;
}

static int start(struct image_writer *w)
{
	static const struct pipeline_ops ops = {.finish = seal, .release = release};
	struct sealer *s;
	int r = -ENOMEM;

	if (w->sealer)
		return 0;
	s = w->sealer = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->hash = XXH3_createState();
	s->buf = aligned_alloc(STEP_ALIGN, STEP);
	s->table = malloc(IMAGE_TABLE_SIZE);
	if (s->hash && s->buf && s->table)
		r = pipeline_new(&s->pipeline, 1, &ops, w);
	if (r < 0)
		image_writer_free_sealer(w);
	return r;
}

bool image_writer_takes_reserve(const struct image_writer *w)
{
	return w->read_fd >= 0;
}

int image_writer_fd(const struct image_writer *w)
{
	return w->out.fd;
}

/* The header's place, the tables and the room for the data. */
static int leave_room(struct image_writer *w, const struct page_run *runs,
		      const struct image_memory *m, struct seal *s, struct error **err)
{
	static const uint8_t no_header[IMAGE_FRAME_HEADER_SIZE];
	uint8_t *table = w->sealer->table;
	size_t data_at = image_writer_lay_out(w, m, table);
	int64_t at;
	int r;

	image_runs_encode(runs, m->run_count, table + IMAGE_MEMORY_PROLOGUE_SIZE);
	r = image_writer_put(w, no_header, sizeof no_header, err);
	if (r >= 0)
		r = image_writer_put(w, table, data_at, err);
	if (r >= 0)
		r = image_writer_flush(w, err);
	if (r < 0)
		return r;
	at = image_output_leave(&w->out, m->raw_length, err);
	if (at < 0)
		return (int)at;
	s->header_at = (uint64_t)at - data_at - sizeof no_header;
	s->length = data_at + m->raw_length;
	image_writer_count(w, m->raw_length);
	image_writer_count_memory(w, m, m->raw_length);
	return 0;
}

static int reserve(struct image_writer *w, const struct page_run *runs, size_t count,
		   uint64_t *ret_offset, struct error **err)
{
	struct image_memory m;
	struct seal *s;
	int r = image_writer_check_runs(w, runs, count, &m, err);

	if (r < 0)
		return r;
	s = start(w) < 0 ? NULL : calloc(1, sizeof *s);
	if (!s)
		return fail_errno(err, ENOMEM, "cannot write %s", w->out.shown);
	r = leave_room(w, runs, &m, s, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_offset = s->header_at + IMAGE_FRAME_HEADER_SIZE + s->length - m.raw_length;
	pipeline_add(w->sealer->pipeline, &s->job, false);
	return 0;
}

int image_writer_reserve(struct image_writer *w, const struct page_run *runs, size_t count,
			 uint64_t *ret_offset, struct error **err)
{
	int r = image_writer_usable(w, err);

	if (r < 0)
		return r;
	if (w->read_fd < 0)
		r = fail(err, EOPNOTSUPP, "nothing can be reserved in %s", w->out.shown);
	if (r >= 0)
		r = image_writer_pages_all(w, err);
	if (r >= 0)
		r = reserve(w, runs, count, ret_offset, err);
	return image_writer_result(w, r);
}

int image_writer_filled(struct image_writer *w, struct error **err)
{
	int r = image_writer_usable(w, err);

	if (r < 0)
		return r;
	if (!w->sealer || !pipeline_ready(w->sealer->pipeline))
		return image_writer_result(w, fail(err, EINVAL, "%s has no reserved frame",
						   w->out.shown));
	return 0;
}

int image_writer_unfilled(struct image_writer *w, int errnum, struct error **err)
{
	int r = image_writer_usable(w, err);

	return r < 0 ? r : image_writer_result(w, image_output_failed(&w->out, errnum, err));
}

int image_writer_seal_failure(struct image_writer *w, struct error **err)
{
	return w->sealer ? pipeline_failure(w->sealer->pipeline, err) : 0;
}

int image_writer_seal_all(struct image_writer *w, struct error **err)
{
	if (!w->sealer)
		return 0;
	if (pipeline_unready(w->sealer->pipeline))
		return fail(err, EINVAL, "a reserved frame of %s was not filled", w->out.shown);
	pipeline_wait(w->sealer->pipeline, 0);
	return pipeline_failure(w->sealer->pipeline, err);
}

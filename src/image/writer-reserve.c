/* Frames whose data somebody else writes: reserved here, sealed with their hash by a thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/hash.h"
#include "image/writer-parts.h"

/* Stays in the second level of a processor's cache while it is hashed. */
#define STEP ((size_t)256 << 10)
#define STEP_ALIGN ((size_t)4096)

/* Headers that wait; 16 GiB may pass before who fills is disturbed. */
#define MOST_HEADERS 4096

/* A frame between its reservation and its hash.  Offsets are the file's. */
struct seal {
	struct pipeline_job job;
	uint64_t header_at;
	uint64_t length; /* of the payload, which follows the header */
};

struct header {
	uint64_t at;
	uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];
};

struct sealer {
	struct pipeline *pipeline;
	XXH3_state_t *hash;
	void *buf;      /* of STEP bytes */
	uint8_t *front; /* the next reserved frame's */
	struct header headers[MOST_HEADERS];
	size_t header_count;
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
		image_hash_update(s->hash, s->buf, step);
		at += step;
		length -= step;
	}
	return 0;
}

static int write_headers(struct image_writer *w, struct error **err)
{
	struct sealer *s = w->sealer;
	int r = 0;

	for (size_t i = 0; i < s->header_count && r == 0; i++)
		r = image_output_write_at(&w->out, s->headers[i].bytes, sizeof s->headers[i].bytes,
					  s->headers[i].at, err);
	s->header_count = 0;
	return r;
}

static int seal(void *arg, struct pipeline_job *job, unsigned worker, struct error **err)
{
	struct image_writer *w = arg;
	const struct seal *s = (const struct seal *)job;
	struct image_frame_header h = {.type = IMAGE_TYPE_MEMORY, .length = s->length};
	struct header *header = &w->sealer->headers[w->sealer->header_count];
	int r = hash_payload(w, s->header_at + sizeof header->bytes, s->length, err);

	(void)worker;
	if (r < 0)
		return r;
	h.hash = XXH3_64bits_digest(w->sealer->hash);
	header->at = s->header_at;
	image_writer_chain(w, &h, header->bytes);
	image_output_begin_sync(&w->out, s->header_at, sizeof header->bytes + s->length);
	return ++w->sealer->header_count == MOST_HEADERS ? write_headers(w, err) : 0;
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
	free(s->front);
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
	s->front = calloc(1, IMAGE_FRAME_HEADER_SIZE + IMAGE_TABLE_SIZE);
	if (s->hash && s->buf && s->front)
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

/* The place of the header, which is zero until it is known, the tables, and room for the data. */
static int leave_room(struct image_writer *w, const struct page_run *runs,
		      const struct image_memory *m, struct seal *s, struct error **err)
{
	uint8_t *table = w->sealer->front + IMAGE_FRAME_HEADER_SIZE;
	size_t data_at = image_writer_lay_out(w, m, table);
	int64_t at;
	int r;

	image_runs_encode(runs, m->run_count, table + IMAGE_MEMORY_PROLOGUE_SIZE);
	r = image_writer_flush(w, err);
	if (r < 0)
		return r;
	s->length = data_at + m->raw_length;
	at = image_output_leave(&w->out, IMAGE_FRAME_HEADER_SIZE + s->length, err);
	if (at < 0)
		return (int)at;
	s->header_at = (uint64_t)at;
	image_writer_count(w, IMAGE_FRAME_HEADER_SIZE + s->length);
	image_writer_count_memory(w, m, m->raw_length);
	return 0;
}

static int reserve(struct image_writer *w, const struct page_run *runs, size_t count,
		   struct image_room *ret, struct error **err)
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
	*ret = (struct image_room){s->header_at, w->sealer->front,
				   IMAGE_FRAME_HEADER_SIZE + s->length - m.raw_length};
	pipeline_add(w->sealer->pipeline, &s->job, false);
	return 0;
}

int image_writer_reserve(struct image_writer *w, const struct page_run *runs, size_t count,
			 struct image_room *ret, struct error **err)
{
	int r = image_writer_usable(w, err);

	if (r < 0)
		return r;
	if (w->read_fd < 0)
		r = fail(err, EOPNOTSUPP, "nothing can be reserved in %s", w->out.shown);
	if (r >= 0)
		r = image_writer_pages_all(w, err);
	if (r >= 0)
		r = reserve(w, runs, count, ret, err);
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
	int r;

	if (!w->sealer)
		return 0;
	if (pipeline_unready(w->sealer->pipeline))
		return fail(err, EINVAL, "a reserved frame of %s was not filled", w->out.shown);
	pipeline_wait(w->sealer->pipeline, 0);
	r = pipeline_failure(w->sealer->pipeline, err);
	return r < 0 ? r : write_headers(w, err);
}

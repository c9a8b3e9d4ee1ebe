/*
 * Memory frames that the writer writes itself.  The caller fills one buffer while the one
 * before is compressed, hashed and written by other threads.  Of raw frames the caller's
 * thread takes the hash, while the data is still in its cache: writing takes the most time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "image/compress.h"
#include "image/hash.h"
#include "image/writer-parts.h"

#define SLOTS 4U
#define BUFFER_ALIGN ((size_t)4096)
#define PACKERS 2U

struct page_job {
	struct pipeline_job job;
	struct image_memory m;
	const void *data; /* as it was given */
	struct compressed packed;
	const void *stored; /* as it is written, behind the header and the table */
	size_t stored_len;
	size_t data_at;
	uint8_t header[IMAGE_FRAME_HEADER_SIZE];
	uint8_t *table;
	uint8_t *buffer;
};

struct pager {
	struct pipeline *pipeline;
	struct compressor *compressor; /* NULL: raw */
	XXH3_state_t *hash;
	uint64_t next; /* the job to be filled, modulo SLOTS */
	struct page_job slots[SLOTS];
};

/*
 * Gives the frame its place: all that depends on what comes before it.  For raw frames the
 * caller of image_writer_pages() does so, for compressed ones who has the turn.
 */
static void place(struct image_writer *w, struct page_job *j)
{
	struct image_frame_header h = {.type = IMAGE_TYPE_MEMORY};
	XXH3_state_t *hash = w->pager->hash;

	j->m.encoding = j->packed.length ? IMAGE_MEMORY_ZSTD : IMAGE_MEMORY_RAW;
	j->stored = j->packed.length ? j->packed.at : j->data;
	j->stored_len = j->packed.length ? j->packed.length : (size_t)j->m.raw_length;
	j->data_at = image_writer_lay_out(w, &j->m, j->table);
	h.length = j->data_at + j->stored_len;
	XXH3_64bits_reset(hash);
	image_hash_update(hash, j->table, j->data_at);
	image_hash_update(hash, j->stored, j->stored_len);
	h.hash = XXH3_64bits_digest(hash);
	image_writer_chain(w, &h, j->header);
	image_writer_count(w, sizeof j->header + h.length);
	image_writer_count_memory(w, &j->m, j->stored_len);
}

static void pack(void *arg, struct pipeline_job *job, unsigned worker)
{
	struct image_writer *w = arg;
	struct page_job *j = (struct page_job *)job;

	compressor_pack(w->pager->compressor, worker, j->data, (size_t)j->m.raw_length,
			&j->packed);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static int emit(void *arg, struct pipeline_job *job, unsigned worker, struct error **err)
{
	struct image_writer *w = arg;
	struct page_job *j = (struct page_job *)job;
	struct iovec iov[] = {
		{j->header, sizeof j->header},
		{j->table, 0},
		{NULL, 0},
	};
	uint64_t began;
	int r;

	(void)worker;
	if (w->pager->compressor)
		place(w, j);
	iov[1].iov_len = j->data_at;
	iov[2] = (struct iovec){(void *)j->stored, j->stored_len};
	began = now();
	r = image_output_write(&w->out, iov, 3, err);
	if (r >= 0 && w->pager->compressor)
		compressor_note(w->pager->compressor, &j->packed, (size_t)j->m.raw_length,
				now() - began);
	return r;
}

void image_writer_free_pager(struct image_writer *w)
{
	struct pager *p = w->pager;

	if (!p)
		return;
	pipeline_free(p->pipeline);
	compressor_free(p->compressor);
	XXH3_freeState(p->hash);
	for (size_t i = 0; i < SLOTS; i++) {
		free(p->slots[i].table);
		free(p->slots[i].buffer);
	}
	free(p);
	w->pager = NULL;
}

static int start(struct image_writer *w)
{
	static const struct pipeline_ops raw = {.finish = emit};
	static const struct pipeline_ops packing = {.work = pack, .finish = emit};
	bool packed = w->zstd_level != 0;
	struct pager *p;
	int r = 0;

	if (w->pager)
		return 0;
	p = w->pager = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->hash = XXH3_createState();
	if (packed)
		p->compressor = compressor_new(w->zstd_level, w->adaptive, PACKERS);
	if (!p->hash || (packed && !p->compressor))
		r = -ENOMEM;
	if (r == 0)
		r = pipeline_new(&p->pipeline, packed ? PACKERS : 1, packed ? &packing : &raw, w);
	if (r < 0)
		image_writer_free_pager(w);
	return r;
}

/* The slot of the next frame, which nobody uses any more.  NULL: out of memory. */
static struct page_job *next_slot(struct image_writer *w)
{
	struct page_job *j;

	if (start(w) < 0)
		return NULL;
	pipeline_wait(w->pager->pipeline, SLOTS - 1);
	j = &w->pager->slots[w->pager->next % SLOTS];
	if (!j->table)
		j->table = malloc(IMAGE_TABLE_SIZE);
	return j->table ? j : NULL;
}

void *image_writer_buffer(struct image_writer *w)
{
	struct page_job *j = next_slot(w);

	if (j && !j->buffer)
		j->buffer = aligned_alloc(BUFFER_ALIGN, IMAGE_WRITER_FRAME);
	return j ? j->buffer : NULL;
}

int image_writer_pages_failure(struct image_writer *w, struct error **err)
{
	return w->pager ? pipeline_failure(w->pager->pipeline, err) : 0;
}

int image_writer_pages_all(struct image_writer *w, struct error **err)
{
	if (!w->pager)
		return 0;
	pipeline_wait(w->pager->pipeline, 0);
	return pipeline_failure(w->pager->pipeline, err);
}

static int add(struct image_writer *w, const struct page_run *runs, const struct image_memory *m,
	       const void *data, struct error **err)
{
	struct page_job *j = next_slot(w);
	int r;

	if (!j)
		return fail_errno(err, ENOMEM, "cannot write %s", w->out.shown);
	if (!data && (!j->buffer || m->raw_length > IMAGE_WRITER_FRAME))
		return fail(err, EINVAL, "a memory frame cannot be written: its data is not there");
	/* Records before it; none can come while frames are under way. */
	r = image_writer_flush(w, err);
	if (r < 0)
		return r;
	j->m = *m;
	j->data = data ? data : j->buffer;
	j->packed = (struct compressed){0};
	image_runs_encode(runs, m->run_count, j->table + IMAGE_MEMORY_PROLOGUE_SIZE);
	if (!w->pager->compressor)
		place(w, j);
	w->pager->next++;
	pipeline_add(w->pager->pipeline, &j->job, true);
	/* The caller's own memory is the caller's again when we return. */
	return data ? image_writer_pages_all(w, err) : 0;
}

int image_writer_pages(struct image_writer *w, const struct page_run *runs, size_t count,
		       const void *data, struct error **err)
{
	struct image_memory m;
	int r = image_writer_usable(w, err);

	if (r < 0)
		return r;
	r = image_writer_seal_all(w, err);
	if (r >= 0)
		r = image_writer_check_runs(w, runs, count, &m, err);
	if (r >= 0)
		r = add(w, runs, &m, data, err);
	return image_writer_result(w, r);
}

#include "image/writer-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

/* Small frames are gathered until they fill this. */
#define PENDING_SIZE ((size_t)64 << 10)
#define BUFFER_ALIGN ((size_t)2 << 20) /* a huge page, where the kernel gives one */
#define TABLE_SIZE                                                                  \
	(IMAGE_MEMORY_PROLOGUE_SIZE + IMAGE_MAX_RUNS * IMAGE_RUN_SIZE +             \
	 ((size_t)1 << IMAGE_MAX_PAGE_SHIFT))

int image_writer_result(struct image_writer *w, int r)
{
	if (r < 0 && !w->failed)
		w->failed = -r;
	return r;
}

int image_writer_usable(struct image_writer *w, struct error **err)
{
	if (w->failed)
		return fail(err, w->failed, "%s was given up after an earlier failure",
			    w->out.shown);
	if (w->complete)
		return fail(err, EINVAL, "%s is complete already", w->out.shown);
	/* What a thread of ours met since the last call. */
	return w->sealing ? image_writer_result(w, pipeline_failure(w->sealing, err)) : 0;
}

/* As image_writer_usable(), for what follows all reserved frames. */
static int usable(struct image_writer *w, struct error **err)
{
	int r = image_writer_usable(w, err);

	return r < 0 ? r : image_writer_result(w, image_writer_seal_all(w, err));
}

static int flush_with(struct image_writer *w, const void *bytes, size_t len, struct error **err)
{
	struct iovec iov[2] = {
		{w->pending, w->pending_len},
		{(void *)bytes, len},
	};

	w->pending_len = 0;
	return image_output_write(&w->out, iov, 2, err);
}

int image_writer_flush(struct image_writer *w, struct error **err)
{
	return w->pending_len ? flush_with(w, NULL, 0, err) : 0;
}

int image_writer_put(struct image_writer *w, const void *bytes, size_t len, struct error **err)
{
	w->stats.bytes += len;
	if (len > PENDING_SIZE - w->pending_len)
		return flush_with(w, bytes, len, err);
	memcpy(w->pending + w->pending_len, bytes, len);
	w->pending_len += len;
	return 0;
}

static int put_frame_header(struct image_writer *w, const struct image_frame_header *h,
			    struct error **err)
{
	uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];

	image_frame_header_encode(h, bytes);
	if (h->type != IMAGE_TYPE_END) {
		XXH3_128bits_update(w->chain, bytes, sizeof bytes);
		w->frames++;
	}
	return image_writer_put(w, bytes, sizeof bytes, err);
}

static int put_header(struct image_writer *w, struct error **err)
{
	uint8_t bytes[IMAGE_HEADER_SIZE];

	image_header_encode(&w->header, bytes);
	XXH3_128bits_reset(w->chain);
	XXH3_128bits_update(w->chain, bytes, sizeof bytes);
	return image_writer_put(w, bytes, sizeof bytes, err);
}

/* The output is open. */
static int begin(struct image_writer *w, struct error **err)
{
	if (w->zstd_level == 0) {
		w->read_fd = image_output_read_side(&w->out);
		w->read_fd = w->read_fd < 0 ? -1 : w->read_fd;
	}
	return put_header(w, err);
}

/* All but the output. */
static int writer_new(struct image_writer **ret, const struct image_writer_options *o,
		      struct error **err)
{
	cleanup_image_writer struct image_writer *w = NULL;
	int level = o ? o->zstd_level : 0;

	if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel()) {
		fail(err, EINVAL, "the compression level %d is not between %d and %d", level,
		     ZSTD_minCLevel(), ZSTD_maxCLevel());
		if (err)
			error_set_outcome(*err, OUTCOME_USAGE);
		return -EINVAL;
	}
	w = calloc(1, sizeof *w);
	if (!w)
		return fail_errno(err, ENOMEM, "cannot write an image");
	w->out = IMAGE_OUTPUT_NONE;
	w->read_fd = -1;
	w->header = image_header_here();
	w->zstd_level = level;
	w->chain = XXH3_createState();
	w->hash = XXH3_createState();
	w->table = malloc(TABLE_SIZE);
	w->pending = malloc(PENDING_SIZE);
	if (!w->chain || !w->hash || !w->table || !w->pending)
		return fail_errno(err, ENOMEM, "cannot write an image");
	*ret = w;
	w = NULL;
	return 0;
}

int image_writer_open(struct image_writer **ret, const char *path,
		      const struct image_writer_options *o, struct error **err)
{
	cleanup_image_writer struct image_writer *w = NULL;
	int r = writer_new(&w, o, err);

	if (r >= 0)
		r = image_output_open(&w->out, path, err);
	if (r >= 0)
		r = begin(w, err);
	if (r < 0)
		return r;
	*ret = w;
	w = NULL;
	return 0;
}

int image_writer_open_fd(struct image_writer **ret, int fd, const char *name,
			 const struct image_writer_options *o, struct error **err)
{
	cleanup_image_writer struct image_writer *w = NULL;
	int r = writer_new(&w, o, err);

	if (r >= 0)
		r = image_output_open_fd(&w->out, fd, name, err);
	if (r >= 0)
		r = begin(w, err);
	if (r < 0)
		return r;
	*ret = w;
	w = NULL;
	return 0;
}

static int write_record(struct image_writer *w, uint32_t tag, uint32_t flags,
			const ProtobufCMessage *m, struct error **err)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	struct image_frame_header h = {.type = tag, .flags = flags, .length = len};
	uint8_t *bytes;
	int r;

	if (tag == 0 || tag > IMAGE_TYPE_RECORD_MAX)
		return fail(err, EINVAL, "%u is no tag of a record", tag);
	if (len > IMAGE_MAX_RECORD)
		return fail(err, EMSGSIZE, "a record of %zu bytes (%s) is too large for an image",
			    len, m->descriptor->name);
	bytes = malloc(len ? len : 1);
	if (!bytes)
		return fail_errno(err, ENOMEM, "cannot write %s", w->out.shown);
	protobuf_c_message_pack(m, bytes);
	h.hash = XXH3_64bits(bytes, len);
	r = put_frame_header(w, &h, err);
	if (r >= 0)
		r = image_writer_put(w, bytes, len, err);
	if (r >= 0)
		w->stats.records++;
	free(bytes);
	return r;
}

int image_writer_record(struct image_writer *w, uint32_t tag, const ProtobufCMessage *m,
			struct error **err)
{
	int r = usable(w, err);

	return r < 0 ? r : image_writer_result(w, write_record(w, tag, 0, m, err));
}

int image_writer_record_optional(struct image_writer *w, uint32_t tag,
				 const ProtobufCMessage *m, struct error **err)
{
	int r = usable(w, err);

	return r < 0 ? r : image_writer_result(w, write_record(w, tag, IMAGE_FRAME_OPTIONAL, m, err));
}

void *image_writer_buffer(struct image_writer *w)
{
	if (!w->buffer)
		w->buffer = aligned_alloc(BUFFER_ALIGN, IMAGE_MAX_RAW);
	return w->buffer;
}

/* Compresses data; 0: that is not worth it, or not possible. */
static size_t compress(struct image_writer *w, const void *data, size_t len)
{
	/* Raw data can be read straight into place: a smaller gain is none. */
	size_t room = len - len / 16, n;

	if (w->zstd_level == 0)
		return 0;
	if (!w->zstd)
		w->zstd = ZSTD_createCCtx();
	if (!w->compressed)
		w->compressed = malloc(IMAGE_MAX_RAW);
	if (!w->zstd || !w->compressed)
		return 0;
	n = ZSTD_compressCCtx(w->zstd, w->compressed, room, data, len, w->zstd_level);
	return ZSTD_isError(n) ? 0 : n;
}

size_t image_writer_lay_out(struct image_writer *w, const struct page_run *runs,
			    const struct image_memory *m)
{
	size_t data_at = image_memory_data_at(m, w->stats.bytes + IMAGE_FRAME_HEADER_SIZE,
					      w->header.page_shift);

	memset(w->table, 0, data_at);
	image_memory_encode(m, w->table);
	image_runs_encode(runs, m->run_count, w->table + IMAGE_MEMORY_PROLOGUE_SIZE);
	return data_at;
}

void image_writer_count_memory(struct image_writer *w, const struct image_memory *m,
			       uint64_t stored)
{
	w->stats.memory_frames++;
	w->stats.raw_bytes += m->raw_length;
	w->stats.stored_bytes += stored;
	w->stats.pages += m->raw_length >> w->header.page_shift;
}

static int write_memory(struct image_writer *w, const struct page_run *runs,
			struct image_memory *m, const void *data, struct error **err)
{
	size_t len = (size_t)m->raw_length, packed = compress(w, data, len), data_at;
	struct image_frame_header h = {.type = IMAGE_TYPE_MEMORY};
	int r;

	if (packed) {
		m->encoding = IMAGE_MEMORY_ZSTD;
		data = w->compressed;
		len = packed;
	}
	data_at = image_writer_lay_out(w, runs, m);
	XXH3_64bits_reset(w->hash);
	XXH3_64bits_update(w->hash, w->table, data_at);
	XXH3_64bits_update(w->hash, data, len);
	h.hash = XXH3_64bits_digest(w->hash);
	h.length = data_at + len;
	r = put_frame_header(w, &h, err);
	if (r >= 0)
		r = image_writer_put(w, w->table, data_at, err);
	if (r >= 0)
		r = image_writer_put(w, data, len, err);
	if (r < 0)
		return r;
	image_writer_count_memory(w, m, len);
	return 0;
}

int image_writer_check_runs(const struct image_writer *w, const struct page_run *runs,
			    size_t count, struct image_memory *m, struct error **err)
{
	const char *wrong = NULL;

	*m = (struct image_memory){.run_count = (uint32_t)count};
	if (count == 0 || count > IMAGE_MAX_RUNS)
		wrong = "its number of runs is out of bounds";
	for (size_t i = 0; !wrong && i < count; i++) {
		if (runs[i].length > IMAGE_MAX_RAW - m->raw_length)
			wrong = "its amount of data is out of bounds";
		else
			m->raw_length += runs[i].length;
	}
	if (!wrong)
		wrong = image_runs_check(runs, count, m->raw_length, w->header.page_shift);
	return wrong ? fail(err, EINVAL, "a memory frame cannot be written: %s", wrong) : 0;
}

int image_writer_pages(struct image_writer *w, const struct page_run *runs, size_t count,
		       const void *data, struct error **err)
{
	struct image_memory m;
	int r = usable(w, err);

	if (r < 0)
		return r;
	r = image_writer_check_runs(w, runs, count, &m, err);
	if (!data)
		data = w->buffer;
	if (r >= 0 && !data)
		r = fail(err, EINVAL, "a memory frame cannot be written: it has no data");
	if (r >= 0)
		r = write_memory(w, runs, &m, data, err);
	return image_writer_result(w, r);
}

static int write_end(struct image_writer *w, struct error **err)
{
	XXH128_hash_t hash = XXH3_128bits_digest(w->chain);
	struct image_end end = {{hash.low64, hash.high64}, w->frames};
	struct image_frame_header h = {.type = IMAGE_TYPE_END, .length = IMAGE_END_SIZE};
	uint8_t bytes[IMAGE_END_SIZE];
	int r;

	image_end_encode(&end, bytes);
	h.hash = XXH3_64bits(bytes, sizeof bytes);
	r = put_frame_header(w, &h, err);
	if (r >= 0)
		r = image_writer_put(w, bytes, sizeof bytes, err);
	if (r >= 0)
		r = image_writer_flush(w, err);
	if (r >= 0)
		w->identity = end.identity;
	return r;
}

int image_writer_commit(struct image_writer *w, struct error **err)
{
	int r = usable(w, err);

	if (r < 0)
		return r;
	r = write_end(w, err);
	if (r >= 0)
		r = image_output_commit(&w->out, err);
	w->complete = r >= 0;
	return image_writer_result(w, r);
}

void image_writer_free(struct image_writer *w)
{
	if (!w)
		return;
	image_writer_free_seals(w);
	close_fdp(&w->read_fd);
	image_output_close(&w->out);
	XXH3_freeState(w->chain);
	XXH3_freeState(w->hash);
	ZSTD_freeCCtx(w->zstd);
	free(w->buffer);
	free(w->compressed);
	free(w->table);
	free(w->pending);
	free(w);
}

void image_writer_freep(struct image_writer **w)
{
	image_writer_free(*w);
	*w = NULL;
}

const struct image_stats *image_writer_stats(const struct image_writer *w)
{
	return &w->stats;
}

struct image_identity image_writer_identity(const struct image_writer *w)
{
	return w->identity;
}

#include "image/writer-parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "image/compress.h"

/* Small frames are gathered until they fill this. */
#define PENDING_SIZE ((size_t)64 << 10)

int image_writer_result(struct image_writer *w, int r)
{
	if (r < 0 && !w->failed)
		w->failed = -r;
	return r;
}

int image_writer_usable(struct image_writer *w, struct error **err)
{
	int r;

	if (w->failed)
		return fail(err, w->failed, "%s was given up after an earlier failure",
			    w->out.shown);
	if (w->complete)
		return fail(err, EINVAL, "%s is complete already", w->out.shown);
	/* What threads of ours met since the last call. */
	r = image_writer_pages_failure(w, err);
	if (r >= 0)
		r = image_writer_seal_failure(w, err);
	return image_writer_result(w, r);
}

/* As image_writer_usable(), for what comes when no frame is under way any more. */
static int usable(struct image_writer *w, struct error **err)
{
	int r = image_writer_usable(w, err);

	if (r >= 0)
		r = image_writer_result(w, image_writer_pages_all(w, err));
	if (r >= 0)
		r = image_writer_result(w, image_writer_seal_all(w, err));
	return r;
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

void image_writer_count(struct image_writer *w, uint64_t bytes)
{
	w->stats.bytes += bytes;
	atomic_store_explicit(&w->progress, w->stats.bytes, memory_order_relaxed);
}

int image_writer_flush(struct image_writer *w, struct error **err)
{
	return w->pending_len ? flush_with(w, NULL, 0, err) : 0;
}

int image_writer_put(struct image_writer *w, const void *bytes, size_t len, struct error **err)
{
	image_writer_count(w, len);
	if (len > PENDING_SIZE - w->pending_len)
		return flush_with(w, bytes, len, err);
	memcpy(w->pending + w->pending_len, bytes, len);
	w->pending_len += len;
	return 0;
}

void image_writer_chain(struct image_writer *w, const struct image_frame_header *h,
			uint8_t ret[IMAGE_FRAME_HEADER_SIZE])
{
	image_frame_header_encode(h, ret);
	XXH3_128bits_update(w->chain, ret, IMAGE_FRAME_HEADER_SIZE);
	w->frames++;
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

bool image_writer_is_withheld(const struct image_writer *w)
{
	return w->out.dirfd >= 0;
}

/* All but the output. */
static int writer_new(struct image_writer **ret, const struct image_writer_options *o,
		      struct error **err)
{
	cleanup_image_writer struct image_writer *w = NULL;
	int level = o ? o->zstd_level : 0;

	if (level != 0 && (level < COMPRESS_MIN_LEVEL || level > COMPRESS_MAX_LEVEL)) {
		fail(err, EINVAL, "the compression level %d is not between %d and %d", level,
		     COMPRESS_MIN_LEVEL, COMPRESS_MAX_LEVEL);
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
	w->adaptive = o && o->adaptive;
	w->chain = XXH3_createState();
	w->pending = malloc(PENDING_SIZE);
	if (!w->chain || !w->pending)
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
	uint8_t header[IMAGE_FRAME_HEADER_SIZE], *bytes;
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
	image_writer_chain(w, &h, header);
	r = image_writer_put(w, header, sizeof header, err);
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

size_t image_writer_lay_out(const struct image_writer *w, const struct image_memory *m,
			    uint8_t *table)
{
	size_t runs_end = IMAGE_MEMORY_PROLOGUE_SIZE + (size_t)m->run_count * IMAGE_RUN_SIZE;
	size_t data_at = image_memory_data_at(m, w->stats.bytes + IMAGE_FRAME_HEADER_SIZE,
					      w->header.page_shift);

	image_memory_encode(m, table);
	memset(table + runs_end, 0, data_at - runs_end);
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

static int write_end(struct image_writer *w, struct error **err)
{
	XXH128_hash_t hash = XXH3_128bits_digest(w->chain);
	struct image_end end = {{hash.low64, hash.high64}, w->frames};
	struct image_frame_header h = {.type = IMAGE_TYPE_END, .length = IMAGE_END_SIZE};
	uint8_t header[IMAGE_FRAME_HEADER_SIZE], bytes[IMAGE_END_SIZE];
	int r;

	image_end_encode(&end, bytes);
	h.hash = XXH3_64bits(bytes, sizeof bytes);
	image_frame_header_encode(&h, header);
	r = image_writer_put(w, header, sizeof header, err);
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
	image_writer_free_pager(w);
	image_writer_free_sealer(w);
	close_fdp(&w->read_fd);
	image_output_close(&w->out);
	XXH3_freeState(w->chain);
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

uint64_t image_writer_progress(const struct image_writer *w)
{
	return atomic_load_explicit(&w->progress, memory_order_relaxed);
}

struct image_identity image_writer_identity(const struct image_writer *w)
{
	return w->identity;
}

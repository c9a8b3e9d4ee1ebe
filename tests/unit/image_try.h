/* What the tests of the image share: images in memory, and reading one to its end. */
#pragma once

/* Before cmocka, which has a macro fail(). */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/fd.h"
#include "image/reader.h"
#include "image/writer.h"
#include "records.pb-c.h"

#define PAGE 4096U

/* Bytes of an image that a test builds or damages. */
struct bytes {
	uint8_t *at;
	size_t len;
};

static inline void bytes_free(struct bytes *b)
{
	free(b->at);
}
#define cleanup_bytes __attribute__((cleanup(bytes_free)))

static inline void bytes_add(struct bytes *b, const void *more, size_t len)
{
	b->at = realloc(b->at, b->len + len + 1);
	assert_non_null(b->at);
	if (len)
		memcpy(b->at + b->len, more, len);
	b->len += len;
}

static inline void add_header(struct bytes *b, const struct image_header *h)
{
	struct image_header here = image_header_here();
	uint8_t bytes[IMAGE_HEADER_SIZE];

	image_header_encode(h ? h : &here, bytes);
	bytes_add(b, bytes, sizeof bytes);
}

/* A frame whose hashes are right, whatever else is wrong with it. */
static inline void add_frame(struct bytes *b, uint32_t type, uint32_t flags, const void *payload,
			     size_t len)
{
	struct image_frame_header h = {type, flags, len, XXH3_64bits(payload, len)};
	uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];

	image_frame_header_encode(&h, bytes);
	bytes_add(b, bytes, sizeof bytes);
	bytes_add(b, payload, len);
}

/* A right END behind whatever frames b has. */
static inline void add_end(struct bytes *b)
{
	XXH3_state_t *chain = XXH3_createState();
	size_t at = IMAGE_HEADER_SIZE;
	struct image_end end = {0};
	uint8_t bytes[IMAGE_END_SIZE];
	XXH128_hash_t hash;

	XXH3_128bits_reset(chain);
	XXH3_128bits_update(chain, b->at, IMAGE_HEADER_SIZE);
	while (at < b->len) {
		struct image_frame_header h;

		assert_true(image_frame_header_decode(b->at + at, &h));
		XXH3_128bits_update(chain, b->at + at, IMAGE_FRAME_HEADER_SIZE);
		at += IMAGE_FRAME_HEADER_SIZE + h.length;
		end.frames++;
	}
	hash = XXH3_128bits_digest(chain);
	end.identity = (struct image_identity){hash.low64, hash.high64};
	image_end_encode(&end, bytes);
	add_frame(b, IMAGE_TYPE_END, 0, bytes, sizeof bytes);
	XXH3_freeState(chain);
}

/* The payload of a memory frame at the end of b, whatever is wrong with it. */
static inline void add_memory(struct bytes *b, const struct image_memory *m,
			      const struct page_run *runs, size_t count, const void *data,
			      size_t len)
{
	cleanup_bytes struct bytes payload = {0};
	uint8_t table[IMAGE_MEMORY_PROLOGUE_SIZE + 4 * IMAGE_RUN_SIZE + PAGE] = {0};
	size_t data_at = image_memory_data_at(m, b->len + IMAGE_FRAME_HEADER_SIZE, 12);

	/* For lies about the number of runs the table stays as it is. */
	if (data_at > sizeof table)
		data_at = IMAGE_MEMORY_PROLOGUE_SIZE + count * IMAGE_RUN_SIZE;
	image_memory_encode(m, table);
	image_runs_encode(runs, count, table + IMAGE_MEMORY_PROLOGUE_SIZE);
	bytes_add(&payload, table, data_at);
	bytes_add(&payload, data, len);
	add_frame(b, IMAGE_TYPE_MEMORY, 0, payload.at, payload.len);
}

static inline int memfd_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write(fd, bytes, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Reads an image to its end: 0, or the error. */
static inline int read_all_fd(int fd, bool skip, struct error **err)
{
	cleanup_image_reader struct image_reader *r = NULL;
	struct image_frame frame;
	int n = image_reader_open_fd(&r, fd, "x.stasis", err);

	if (n < 0)
		return n;
	if (skip)
		image_reader_skip_data(r);
	while ((n = image_reader_next(r, &frame, err)) > 0)
		;
	/* A failed or ended reader stays so. */
	assert_true(image_reader_next(r, &frame, NULL) == 0 ? n == 0 : n < 0);
	return n;
}

/* The data of a memory frame, as a sink gathers it; runs in any order. */
struct gathered {
	const struct image_frame *frame;
	uint8_t *bytes;
};

static inline int gather_part(void *arg, const struct page_run *part, const void *data,
			      struct error **err)
{
	const struct gathered *g = arg;
	size_t at = 0;

	(void)err;
	for (size_t i = 0; i < g->frame->run_count; at += g->frame->runs[i++].length) {
		const struct page_run *run = &g->frame->runs[i];

		if (run->object != part->object || part->offset < run->offset ||
		    part->offset - run->offset >= run->length)
			continue;
		assert_true(part->length <= run->length - (part->offset - run->offset));
		memcpy(g->bytes + at + (part->offset - run->offset), data, part->length);
		return 0;
	}
	fail_msg("a part that is in no run");
	return -EINVAL;
}

/* Of the frame that the reader returned last; the caller frees it. */
static inline uint8_t *frame_data(struct image_reader *r, const struct image_frame *frame)
{
	struct gathered g = {frame, malloc(frame->stored.raw_length)};
	struct image_sink sink = {gather_part, &g};

	assert_non_null(g.bytes);
	assert_int_equal(image_reader_data(r, &sink, NULL), 0);
	return g.bytes;
}

static inline int read_all(const void *bytes, size_t len, struct error **err)
{
	cleanup_close int fd = memfd_of(bytes, len);

	return read_all_fd(fd, false, err);
}

/* The image is refused, and the one reason contains why. */
static inline void assert_refused(const struct bytes *b, const char *why)
{
	cleanup_error struct error *err = NULL;

	assert_true(read_all(b->at, b->len, &err) < 0);
	assert_int_equal(error_count(err), 1);
	if (!strstr(error_why(err, 0), why))
		fail_msg("'%s' is not in '%s'", why, error_why(err, 0));
	assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
}

/* Pages of which each differs from the next; noise does not compress. */
static inline void fill_pages(void *to, size_t len, bool noise)
{
	uint64_t *word = to, x = 88172645463325252ULL;

	for (size_t i = 0; i < len / sizeof *word; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = noise ? x : i / 512;
	}
}

static inline void write_task(struct image_writer *w)
{
	Rec__Task task = REC__TASK__INIT;
	uint32_t tids[] = {4242, 4243};

	task.pid = 4242;
	task.name = (char *)"job";
	task.tids = tids;
	task.n_tids = 2;
	assert_int_equal(image_writer_record(w, 2, &task.base, NULL), 0);
}

/* An image of two records and one memory frame of two pages. */
static inline struct bytes small_image(int zstd_level)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_writer_options o = {.zstd_level = zstd_level};
	struct page_run runs[] = {{7, 0, PAGE}, {9, 5 * PAGE, PAGE}};
	uint8_t pages[2 * PAGE];
	struct bytes b;
	struct stat st;

	fill_pages(pages, sizeof pages, false);
	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", &o, NULL), 0);
	write_task(w);
	write_task(w);
	assert_int_equal(image_writer_pages(w, runs, 2, pages, NULL), 0);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	b = (struct bytes){malloc((size_t)st.st_size), (size_t)st.st_size};
	assert_int_equal(fd_pread(fd, b.at, b.len, 0), st.st_size);
	return b;
}

/* What the files of the writer share. */
#pragma once

#include <stdatomic.h>
#include <xxhash.h>

#include "image/output.h"
#include "image/pipeline.h"
#include "image/writer.h"

/* What stands in a memory frame before its data. */
#define IMAGE_TABLE_SIZE                                                            \
	(IMAGE_MEMORY_PROLOGUE_SIZE + IMAGE_MAX_RUNS * IMAGE_RUN_SIZE +             \
	 ((size_t)1 << IMAGE_MAX_PAGE_SHIFT))

struct image_writer {
	struct image_output out;
	struct image_header header;
	int zstd_level; /* 0: raw */
	bool adaptive;
	int failed; /* the errno of the first failure */
	bool complete;
	uint64_t frames;
	XXH3_state_t *chain; /* over all headers; while frames are under way it is theirs */
	uint8_t *pending;
	size_t pending_len;
	int read_fd;          /* the file, to be read back; -1: nothing can be reserved */
	struct pager *pager;  /* frames that are written; NULL: there was none yet */
	struct sealer *sealer; /* reserved frames; NULL: there was none yet */
	struct image_identity identity;
	struct image_stats stats;
	_Atomic uint64_t progress; /* stats.bytes, for those who do not wait */
};

/* Every public call passes here on its way in ... */
int image_writer_usable(struct image_writer *w, struct error **err);
/* ... and here on its way out, so that a failure sticks. */
int image_writer_result(struct image_writer *w, int r);

/* Fills in m from runs; -EINVAL with the sentence when they are no frame. */
int image_writer_check_runs(const struct image_writer *w, const struct page_run *runs,
			    size_t count, struct image_memory *m, struct error **err);
/*
 * Puts prologue and padding around the runs in table, for the place that comes next in the
 * image.  Returns where the data begins.
 */
size_t image_writer_lay_out(const struct image_writer *w, const struct image_memory *m,
			    uint8_t *table);
/* Encodes a frame's header and takes it into the hash over all. */
void image_writer_chain(struct image_writer *w, const struct image_frame_header *h,
			uint8_t ret[IMAGE_FRAME_HEADER_SIZE]);
/* So many bytes are in the image, or have their place there. */
void image_writer_count(struct image_writer *w, uint64_t bytes);
/* A frame in the statistics; stored: its data in the image. */
void image_writer_count_memory(struct image_writer *w, const struct image_memory *m,
			       uint64_t stored);
/* Bytes that go out after all others. */
int image_writer_put(struct image_writer *w, const void *bytes, size_t len,
		     struct error **err);
int image_writer_flush(struct image_writer *w, struct error **err);

/* What happened to the frames under way: 0, or the first failure. */
int image_writer_pages_failure(struct image_writer *w, struct error **err);
int image_writer_seal_failure(struct image_writer *w, struct error **err);
/* The same, when none is under way any more. */
int image_writer_pages_all(struct image_writer *w, struct error **err);
int image_writer_seal_all(struct image_writer *w, struct error **err);
void image_writer_free_pager(struct image_writer *w);
void image_writer_free_sealer(struct image_writer *w);

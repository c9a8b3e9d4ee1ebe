/* What the files of the writer share. */
#pragma once

#include <xxhash.h>
#include <zstd.h>

#include "image/output.h"
#include "image/pipeline.h"
#include "image/writer.h"

struct image_writer {
	struct image_output out;
	struct image_header header;
	int zstd_level;
	int failed; /* the errno of the first failure */
	bool complete;
	uint64_t frames;
	XXH3_state_t *chain; /* over all headers; while jobs are left it is theirs */
	XXH3_state_t *hash;  /* over one memory frame */
	ZSTD_CCtx *zstd;
	void *buffer;     /* the caller's pages */
	void *compressed; /* the same, compressed */
	uint8_t *table;   /* prologue, runs and padding of a memory frame */
	uint8_t *pending;
	size_t pending_len;
	int read_fd;               /* the file, to be read back; -1: nothing can be reserved */
	struct pipeline *sealing;  /* reserved frames; NULL: there was none yet */
	struct seal_reader *seals; /* what its thread reads with */
	struct image_identity identity;
	struct image_stats stats;
};

/* Every public call passes here on its way in ... */
int image_writer_usable(struct image_writer *w, struct error **err);
/* ... and here on its way out, so that a failure sticks. */
int image_writer_result(struct image_writer *w, int r);

/* Fills in m from runs; -EINVAL with the sentence when they are no frame. */
int image_writer_check_runs(const struct image_writer *w, const struct page_run *runs,
			    size_t count, struct image_memory *m, struct error **err);
/* Writes prologue, runs and padding into w->table.  Returns where the data begins. */
size_t image_writer_lay_out(struct image_writer *w, const struct page_run *runs,
			    const struct image_memory *m);
/* A frame in the statistics; stored: its data in the image. */
void image_writer_count_memory(struct image_writer *w, const struct image_memory *m,
			       uint64_t stored);
/* Bytes that go out after all others. */
int image_writer_put(struct image_writer *w, const void *bytes, size_t len, struct error **err);
int image_writer_flush(struct image_writer *w, struct error **err);

/* Waits until all reserved frames have their headers. */
int image_writer_seal_all(struct image_writer *w, struct error **err);
void image_writer_free_seals(struct image_writer *w);

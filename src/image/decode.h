/*
 * The data of one memory frame: checked, decompressed, and passed on piece by piece, with little
 * memory of its own.  Pieces are passed on before the checksum of the frame can be known: nothing
 * may rest on them before all of it was found right.
 */
#pragma once

#include "image/frame.h"

/* Tells all that is needed to read the data of a memory frame, at any time, from any thread. */
struct image_stored {
	uint64_t index;          /* of the frame */
	uint64_t payload_offset; /* from the beginning of the image */
	uint64_t length;         /* of the payload */
	uint64_t hash;           /* of the payload */
	uint64_t table_hash;     /* of what comes before the data: the runs that were read are those of the data */
	size_t data_at;          /* where the data begins, from the beginning of the payload */
	size_t raw_length;
	uint32_t encoding;
};

/* What is done with the data. */
struct image_sink {
	/*
	 * A run, or some pages of one, and their bytes, which are valid until this returns.
	 * NULL: the data is only checked.
	 */
	int (*put)(void *arg, const struct page_run *part, const void *data, struct error **err);
	void *arg;
};

/* A frame, and what shall become of it. */
struct image_data {
	const char *name; /* of the image, for the sentences */
	struct image_stored stored;
	const struct page_run *runs;
	size_t run_count;
	struct image_sink sink;
};

/* An image that can be read anywhere.  Nothing is owned. */
struct image_file {
	const char *name;
	int fd;
	uint64_t base; /* where the image begins in it */
};

/* The most that is read, hashed and passed on at once: it stays in the processor's own cache. */
#define IMAGE_PIECE ((size_t)256 << 10)

/* One thread's means. */
struct image_decoder;

int image_decoder_new(struct image_decoder **ret, struct error **err);
void image_decoder_free(struct image_decoder *d);
void image_decoder_freep(struct image_decoder **d);
#define cleanup_image_decoder __attribute__((cleanup(image_decoder_freep)))

/* Reads, checks and passes on all of a frame; what must stay as it is until then. */
int image_decoder_read(struct image_decoder *d, const struct image_file *file,
		       const struct image_data *what, struct error **err);

/*
 * The same for data that comes as a stream, in its order: begin, feed, end.  hash is an
 * XXH3_state_t that has seen what comes before the data in the payload.
 */
void image_decoder_begin(struct image_decoder *d, const struct image_data *what,
			 const void *hash);
int image_decoder_feed(struct image_decoder *d, const void *bytes, size_t len,
		       struct error **err);
int image_decoder_end(struct image_decoder *d, struct error **err);

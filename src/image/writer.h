/*
 * Writes an image.  The file appears under its name only when it is whole and
 * durable; until then nothing of it can be seen, and nothing is left behind
 * when the writer is freed without a commit, or dies.
 *
 *	cleanup_image_writer struct image_writer *w = NULL;
 *	image_writer_open(&w, "4242.stasis", NULL, err);
 *	image_writer_record(w, TAG, &message.base, err);
 *	memcpy(image_writer_buffer(w), ...);
 *	image_writer_pages(w, runs, count, NULL, err);
 *	image_writer_commit(w, err);
 *
 * After a failure every further call fails with the same errno.
 * A pipe that nobody reads raises SIGPIPE: the program should ignore that.
 */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#include "image/frame.h"

struct image_writer;

struct image_writer_options {
	int zstd_level; /* 1 to 19; 0: memory is stored raw */
	bool adaptive;  /* the level follows the speed of the output, up to that one */
};

/*
 * path "-" is standard output; a FIFO or a device is written in place.  An
 * existing file is replaced at the commit.  o may be NULL.
 */
int image_writer_open(struct image_writer **ret, const char *path,
		      const struct image_writer_options *o, struct error **err);

/* Writes to a duplicate of fd from its position on; name is for the sentences. */
int image_writer_open_fd(struct image_writer **ret, int fd, const char *name,
			 const struct image_writer_options *o, struct error **err);

/* Nobody can see anything of it before the commit: it may as well be given up. */
bool image_writer_is_withheld(const struct image_writer *w);

/* One record, which every reader must know (else it refuses the image). */
int image_writer_record(struct image_writer *w, uint32_t tag, const ProtobufCMessage *m,
			struct error **err);

/* One record that a reader may pass over when it does not know the tag. */
int image_writer_record_optional(struct image_writer *w, uint32_t tag,
				 const ProtobufCMessage *m, struct error **err);

/* What the writer's own buffers hold. */
#define IMAGE_WRITER_FRAME ((size_t)1 << 20)

/*
 * A page-aligned buffer of IMAGE_WRITER_FRAME bytes for the next image_writer_pages(), which
 * takes it: then this is to be called again.  NULL: out of memory.
 */
void *image_writer_buffer(struct image_writer *w);

/*
 * One memory frame: data holds the bytes of all runs, one run after the other.
 * At most IMAGE_MAX_RUNS runs and IMAGE_MAX_RAW bytes.  data NULL: the bytes
 * are in image_writer_buffer(), and other threads compress, hash and write them
 * while the next ones are gathered.
 */
int image_writer_pages(struct image_writer *w, const struct page_run *runs, size_t count,
		       const void *data, struct error **err);

/*
 * A memory frame that somebody else writes, straight into the file: the frozen snapshot
 * does so.  Room for it is reserved, the others write into image_writer_fd() at the place
 * they are told, and image_writer_filled() says that they have: another thread then reads
 * the frame back from the page cache and hashes it.  Headers are written when all frames
 * are there, or many: until then nobody but the others writes into the file, for writers of
 * one file wait for each other.  Any number of frames may be reserved ahead; they are filled
 * in their order.  Until all are, nothing but another reservation can follow them.
 */
struct image_room {
	uint64_t offset;   /* where in the file the frame begins: */
	const void *front; /* with these bytes, until the next reservation, */
	size_t front_len;  /* and behind them the bytes of all runs, one run after the other */
};

/* False: the image is compressed, or no regular file.  Then image_writer_pages() it is. */
bool image_writer_takes_reserve(const struct image_writer *w);

int image_writer_reserve(struct image_writer *w, const struct page_run *runs, size_t count,
			 struct image_room *ret, struct error **err);

/* The file: can be written, not read.  It stays the writer's. */
int image_writer_fd(const struct image_writer *w);

/* All of the oldest reserved frame was written; the caller has seen to that. */
int image_writer_filled(struct image_writer *w, struct error **err);

/* It could not be written: the image is given up, with the sentence for that errno. */
int image_writer_unfilled(struct image_writer *w, int errnum, struct error **err);

/* END, fsync, and the name.  When it returns 0, the image is durable. */
int image_writer_commit(struct image_writer *w, struct error **err);

/* How far it is: bytes of the image so far, while frames are under way. */
uint64_t image_writer_progress(const struct image_writer *w);

/* Frees the writer; without a commit the unfinished image is gone. */
void image_writer_free(struct image_writer *w);
void image_writer_freep(struct image_writer **w);
#define cleanup_image_writer __attribute__((cleanup(image_writer_freep)))

/* Both are valid after the commit. */
const struct image_stats *image_writer_stats(const struct image_writer *w);
struct image_identity image_writer_identity(const struct image_writer *w);

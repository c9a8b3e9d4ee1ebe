/*
 * Reads an image, as a stream and as hostile input: nothing is believed
 * before its hash and its limits were checked, and nothing is allocated by a
 * number from the file before the bytes are there.  What is wrong with an
 * image is told by refuse(), with one sentence.
 *
 *	cleanup_image_reader struct image_reader *r = NULL;
 *	image_reader_open(&r, path, err);
 *	while ((n = image_reader_next(r, &frame, err)) > 0)
 *		...
 *	n == 0: END was reached and the whole image is as it was written.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "image/decode.h"

struct image_reader;

struct image_frame {
	uint32_t type; /* a record's tag, or IMAGE_TYPE_MEMORY */
	uint32_t flags;
	uint64_t index;       /* 0 is the first frame */
	uint64_t file_offset; /* of the frame's header, from the beginning of the image */

	/* A record. */
	const uint8_t *payload;
	size_t length;

	/* Memory: where, and how its data is stored. */
	const struct page_run *runs;
	size_t run_count;
	struct image_stored stored;
};

/* path "-" is standard input; a FIFO will do as well. */
int image_reader_open(struct image_reader **ret, const char *path, struct error **err);

/* Reads from a duplicate of fd from its position on; name is for the sentences. */
int image_reader_open_fd(struct image_reader **ret, int fd, const char *name,
			 struct error **err);

void image_reader_free(struct image_reader *r);
void image_reader_freep(struct image_reader **r);
#define cleanup_image_reader __attribute__((cleanup(image_reader_freep)))

/*
 * From now on the data of memory frames is passed over.  In a regular file it is not even read:
 * then the hash of a memory frame is not verified (its runs are still checked), while
 * records and the identity are.
 */
void image_reader_skip_data(struct image_reader *r);

/*
 * 1: *ret is a frame, valid until the next call: a verified record, or a memory frame without
 * its data.  0: END; it and the absence of anything behind it were verified.
 * Negative: no image, a damaged one, or a failure to read.  The caller refuses an unknown
 * record tag unless flags has IMAGE_FRAME_OPTIONAL.
 *
 * The data of a memory frame is had by one of the three calls below (image/pump.h makes them);
 * else the next call verifies it, unless it shall be skipped.
 */
int image_reader_next(struct image_reader *r, struct image_frame *ret, struct error **err);

/*
 * Goes on with the frame whose header is at this offset of the image, which image_frame.file_offset
 * told and which was verified before: for images in regular files only (-ESPIPE).  END then tells
 * nothing about the whole.
 */
int image_reader_seek(struct image_reader *r, uint64_t file_offset, struct error **err);

/* Here and now: the data goes to the sink, verified when this returns 0. */
int image_reader_data(struct image_reader *r, const struct image_sink *sink, struct error **err);

/*
 * Somebody else reads it from the file (image_decoder_read()), now or later: it is passed over.
 * For images that can be read anywhere only, which image_reader_file() tells.
 */
int image_reader_leave_data(struct image_reader *r, struct error **err);
bool image_reader_file(const struct image_reader *r, struct image_file *ret);

/*
 * The next len of its bytes as they are stored; there must be so many.  Not verified: that is
 * image_decoder_feed(), which begins with image_reader_hash().
 */
int image_reader_stored_data(struct image_reader *r, void *buf, size_t len, struct error **err);
const void *image_reader_hash(const struct image_reader *r);

const struct image_header *image_reader_header(const struct image_reader *r);
/* What was read so far. */
const struct image_stats *image_reader_stats(const struct image_reader *r);
/* Valid after END. */
struct image_identity image_reader_identity(const struct image_reader *r);

/*
 * The message of a record frame.  Free it with
 * protobuf_c_message_free_unpacked(m, NULL).  Deep nesting and messages that
 * would take far more memory than their bytes are refused.
 */
int image_unpack(const struct image_frame *frame, const ProtobufCMessageDescriptor *d,
		 ProtobufCMessage **ret, struct error **err);

/* What it is called in sentences. */
const char *image_reader_name(const struct image_reader *r);

/*
 * Reads and verifies all that is left of an image, the data of its memory with all processors.
 * Each record is shown to record(), which may be NULL.
 */
int image_verify_rest(struct image_reader *r,
		      int (*record)(void *arg, const struct image_frame *frame, struct error **err),
		      void *arg, struct error **err);

/* Reads all of an image and says whether it is whole.  Both results may be NULL. */
int image_verify(const char *path, struct image_stats *ret_stats,
		 struct image_identity *ret_identity, struct error **err);

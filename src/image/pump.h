/*
 * Data of memory frames, by several threads: each reads, checks, decompresses and passes on a
 * frame of its own.  In a stream, the caller's thread reads for all of them.
 *
 *	cleanup_image_pump struct image_pump *p = NULL;
 *	image_pump_new(&p, err);
 *	while ((n = image_reader_next(r, &frame, &own)) > 0)
 *		n = image_pump_frame(p, r, &frame, &sink, &own);
 *	n = image_pump_wait(p, n, &own, err);
 *
 * A sink's put() is called from any thread, several at once, in any order; what it uses must be
 * left alone until image_pump_wait() has returned.  Threads are started when there is
 * work enough for them, and sleep in between.
 */
#pragma once

#include "image/reader.h"

struct image_pump;

int image_pump_new(struct image_pump **ret, struct error **err);
/* Work that was not waited for is given up. */
void image_pump_free(struct image_pump *p);
void image_pump_freep(struct image_pump **p);
#define cleanup_image_pump __attribute__((cleanup(image_pump_freep)))

/* The memory frame that the reader returned last.  -ECANCELED: image_pump_wait() tells why. */
int image_pump_frame(struct image_pump *p, struct image_reader *r, const struct image_frame *frame,
		     const struct image_sink *sink, struct error **err);

/* A frame of an image that was read before.  what and its runs are copied. */
int image_pump_stored(struct image_pump *p, const struct image_file *file,
		      const struct image_data *what, struct error **err);

/*
 * Until all that was begun is done.  Returns the failure of the frame that was begun first of
 * those that failed; after one, nothing more is done.  If there is none: res, with the words
 * of *own: how the caller's own part went.
 */
int image_pump_wait(struct image_pump *p, int res, struct error **own, struct error **err);

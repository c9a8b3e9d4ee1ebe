/*
 * A stream of bytes, from a file or a pipe: small reads come from a buffer,
 * large ones go straight to their place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct image_input {
	char *shown; /* what sentences call it */
	int fd;
	bool seekable;
	uint64_t base;   /* where the stream began in a file that is seekable */
	uint64_t offset; /* of the next byte, counted from where the stream began */
	uint8_t *ahead;  /* what was read but not asked for yet */
	size_t ahead_at, ahead_len;
	bool skipped;    /* something was passed over since the last read */
};

#define IMAGE_INPUT_NONE ((struct image_input){.fd = -1})

/* ret must be IMAGE_INPUT_NONE and be closed by image_input_close() in any case. */
int image_input_open(struct image_input *ret, const char *path, struct error **err);
int image_input_open_fd(struct image_input *ret, int fd, const char *name, struct error **err);
void image_input_close(struct image_input *in);

/* Returns how many bytes came: fewer than len only at the end of the stream. */
ssize_t image_input_read(struct image_input *in, void *buf, size_t len, struct error **err);

/* As image_input_read(), for bytes that nobody wants and that are not read where that can be. */
ssize_t image_input_skip(struct image_input *in, size_t len, struct error **err);

/* To this offset from where the stream began.  -ESPIPE: it is no regular file. */
int image_input_seek(struct image_input *in, uint64_t offset, struct error **err);

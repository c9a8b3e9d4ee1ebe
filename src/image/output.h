/*
 * A file that appears under its name only when it is whole and durable.
 * Where the file system can, it has no name at all until then (O_TMPFILE), so
 * that not even SIGKILL leaves something behind.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

struct image_output {
	char *shown; /* what sentences call it */
	int fd;
	int dirfd;  /* -1: written in place (a pipe, a device, a given descriptor) */
	char *base; /* the final name in dirfd */
	char *temp; /* the present name in dirfd; NULL: none */
};

#define IMAGE_OUTPUT_NONE ((struct image_output){.fd = -1, .dirfd = -1})

/* ret must be IMAGE_OUTPUT_NONE and be closed by image_output_close() in any case. */
int image_output_open(struct image_output *ret, const char *path, struct error **err);
int image_output_open_fd(struct image_output *ret, int fd, const char *name, struct error **err);

/* Writes everything; the iovecs are consumed. */
int image_output_write(struct image_output *o, struct iovec *iov, int count, struct error **err);

/*
 * For a regular file that is written at its own position: a descriptor to read it with, of
 * another open file, so that the position is not shared.  -EOPNOTSUPP: it is something else.
 */
int image_output_read_side(const struct image_output *o);
/* Leaves len bytes out, for others to write.  Returns where in the file they begin. */
int64_t image_output_leave(struct image_output *o, uint64_t len, struct error **err);
/* Writes at a place that was left out, and leaves the position alone. */
int image_output_write_at(struct image_output *o, const void *bytes, size_t len, uint64_t at,
			  struct error **err);
/*
 * The disk may begin with these bytes, so that the commit has less to wait for.  What
 * goes wrong is heard of there.
 */
void image_output_begin_sync(const struct image_output *o, uint64_t at, uint64_t len);
/* The sentence for a failed write. */
int image_output_failed(const struct image_output *o, int errnum, struct error **err);

int image_output_commit(struct image_output *o, struct error **err);

/* What was not committed is gone. */
void image_output_close(struct image_output *o);

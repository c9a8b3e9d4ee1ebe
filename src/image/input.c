#include "image/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define AHEAD_SIZE ((size_t)64 << 10)
/* Who has skipped will skip again: what stands between is short, and copying is what it costs. */
#define AHEAD_BETWEEN ((size_t)4 << 10)

static int cannot_open(const char *shown, int errnum, struct error **err)
{
	return refuse(err, errnum, NULL, "cannot open %s: %s", shown, strerror(errnum));
}

static int set_up(struct image_input *in, const char *name, struct error **err)
{
	struct stat st;
	off_t at;

	in->shown = strdup(name);
	in->ahead = malloc(AHEAD_SIZE);
	if (!in->shown || !in->ahead)
		return fail_errno(err, ENOMEM, "cannot read %s", name);
	if (fstat(in->fd, &st) < 0)
		return cannot_open(name, errno, err);
	if (S_ISDIR(st.st_mode))
		return cannot_open(name, EISDIR, err);
	at = S_ISREG(st.st_mode) ? lseek(in->fd, 0, SEEK_CUR) : -1;
	in->seekable = at >= 0;
	in->base = at >= 0 ? (uint64_t)at : 0;
	if (in->seekable)
		posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int image_input_open(struct image_input *ret, const char *path, struct error **err)
{
	if (strcmp(path, "-") == 0) {
		if (isatty(STDIN_FILENO))
			return refuse(err, EINVAL, "send it from a file or a pipe",
				      "an image is not read from a terminal");
		return image_input_open_fd(ret, STDIN_FILENO, "standard input", err);
	}
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (ret->fd < 0)
		return cannot_open(path, errno, err);
	return set_up(ret, path, err);
}

int image_input_open_fd(struct image_input *ret, int fd, const char *name, struct error **err)
{
	ret->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ret->fd < 0)
		return cannot_open(name, errno, err);
	return set_up(ret, name, err);
}

void image_input_close(struct image_input *in)
{
	close_fdp(&in->fd);
	free_strp(&in->shown);
	free(in->ahead);
	in->ahead = NULL;
}

/* Takes up to len bytes out of what was read ahead. */
static size_t take(struct image_input *in, uint8_t *buf, size_t len)
{
	size_t n = len < in->ahead_len ? len : in->ahead_len;

	if (buf)
		memcpy(buf, in->ahead + in->ahead_at, n);
	in->ahead_at += n;
	in->ahead_len -= n;
	in->offset += n;
	return n;
}

static int fill(struct image_input *in, struct error **err)
{
	size_t size = in->skipped ? AHEAD_BETWEEN : AHEAD_SIZE;
	ssize_t n;

	in->skipped = false;
	/* One read only: a pipe gives what it has, and may never have a bufferful. */
	do
		n = read(in->fd, in->ahead, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, errno, "cannot read %s", in->shown);
	in->ahead_at = 0;
	in->ahead_len = (size_t)n;
	return n > 0;
}

/* buf may be NULL for bytes to be thrown away. */
static ssize_t read_or_drop(struct image_input *in, uint8_t *buf, size_t len, struct error **err)
{
	size_t done = take(in, buf, len);

	while (done < len) {
		int r;

		if (buf && len - done >= AHEAD_SIZE) {
			ssize_t n = fd_read(in->fd, buf + done, len - done);

			if (n < 0)
				return fail_errno(err, (int)-n, "cannot read %s", in->shown);
			in->offset += (size_t)n;
			return (ssize_t)done + n;
		}
		r = fill(in, err);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += take(in, buf ? buf + done : NULL, len - done);
	}
	return (ssize_t)done;
}

ssize_t image_input_read(struct image_input *in, void *buf, size_t len, struct error **err)
{
	return read_or_drop(in, buf, len, err);
}

ssize_t image_input_skip(struct image_input *in, size_t len, struct error **err)
{
	size_t done;

	if (!in->seekable)
		return read_or_drop(in, NULL, len, err);
	done = take(in, NULL, len);
	/* Nothing is lost when this goes beyond the end: the next read will tell. */
	if (done < len && lseek(in->fd, (off_t)(len - done), SEEK_CUR) < 0)
		return fail_errno(err, errno, "cannot read %s", in->shown);
	in->skipped = done < len;
	in->offset += len - done;
	return (ssize_t)len;
}

int image_input_seek(struct image_input *in, uint64_t offset, struct error **err)
{
	off_t by = (off_t)(offset - (in->offset + in->ahead_len));

	if (!in->seekable || lseek(in->fd, by, SEEK_CUR) < 0)
		return fail_errno(err, in->seekable ? errno : ESPIPE, "cannot read %s", in->shown);
	in->ahead_len = 0;
	in->offset = offset;
	return 0;
}

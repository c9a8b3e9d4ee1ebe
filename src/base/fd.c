#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

void close_fdp(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

ssize_t fd_read(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t fd_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		/* What came before an error (EIO at the end of a mapped file) is there to be had. */
		if (n < 0 && done == 0)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write(int fd, const void *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf = (const char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, buf, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buf = (const char *)buf + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Until the buffer is full or the file ends, half a page at a time.  The kernel makes the records of
 * /proc/PID/smaps into a page, one after another while less is there than is asked for; one that does
 * not fit any more is thrown away, and made again by the next call.  That of a large mapping costs a
 * walk of its page tables (30 ms for 1 GiB in pieces of a page, 15 ms in these).
 */
ssize_t fd_read_records(int fd, char *buf, size_t size)
{
	const size_t half = 2048;

	for (size_t done = 0;;) {
		size_t piece = size - done < half ? size - done : half;
		ssize_t n = fd_read(fd, buf + done, piece);

		if (n < 0)
			return n;
		done += (size_t)n;
		if ((size_t)n < piece || done == size)
			return (ssize_t)done;
	}
}

static ssize_t slurp(int fd, bool record, char **ret)
{
	size_t room = 4096, done = 0;
	char *buf = malloc(room + 1);

	while (buf) {
		ssize_t n = record ? read(fd, buf + done, room - done)
				   : fd_read_records(fd, buf + done, room - done);
		char *grown;

		if (n < 0) {
			n = record ? -errno : n;
			free(buf);
			return n;
		}
		done += (size_t)n;
		if (done < room) {
			buf[done] = '\0';
			*ret = buf;
			return (ssize_t)done;
		}
		room *= 2;
		grown = realloc(buf, room + 1);
		if (!grown)
			free(buf);
		buf = grown;
	}
	return -ENOMEM;
}

ssize_t fd_slurp_open(int fd, char **ret)
{
	return slurp(fd, false, ret);
}

ssize_t fd_slurp(int dirfd, const char *path, char **ret)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : slurp(fd, false, ret);
}

ssize_t fd_slurp_record(int dirfd, const char *path, char **ret)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : slurp(fd, true, ret);
}

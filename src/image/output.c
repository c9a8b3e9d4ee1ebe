#include "image/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define TEMP_TRIES 64
/* What anybody may make of a pipe (/proc/sys/fs/pipe-max-size). */
#define PIPE_SIZE (1 << 20)
/* Leaves room in NAME_MAX for what a temporary name adds. */
#define TEMP_BASE_MAX 200

static int cannot_create(const char *shown, int errnum, struct error **err)
{
	return refuse(err, errnum, NULL, "cannot create %s: %s", shown, strerror(errnum));
}

int image_output_failed(const struct image_output *o, int errnum, struct error **err)
{
	switch (errnum) {
	case ENOSPC:
		return fail(err, errnum, "the disk is full: %s could not be written", o->shown);
	case EDQUOT:
		return fail(err, errnum, "the disk quota is used up: %s could not be written",
			    o->shown);
	case EFBIG:
		return fail(err, errnum, "%s would be larger than a file may be here (see "
			    "'ulimit -f')", o->shown);
	case EPIPE:
		return fail(err, errnum, "%s could not be written: nobody reads it any more",
			    o->shown);
	default:
		return fail_errno(err, errnum, "cannot write %s", o->shown);
	}
}

static char *temp_name(const char *base)
{
	uint64_t id = 0;

	/* Without randomness the name may be taken; then the next try counts on from the pid. */
	if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
		id = (uint64_t)getpid();
	return str_format(".%.*s.%016llx.tmp", TEMP_BASE_MAX, base, (unsigned long long)id);
}

static int open_named(struct image_output *o)
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		cleanup_free char *temp = temp_name(o->base);

		if (!temp)
			return -ENOMEM;
		o->fd = openat(o->dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (o->fd >= 0) {
			o->temp = temp;
			temp = NULL;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Only /proc can later give a name to a file that has none. */
static bool open_unnamed(struct image_output *o)
{
	char link[64];

	o->fd = openat(o->dirfd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", o->fd);
	if (access(link, F_OK) == 0)
		return true;
	close_fdp(&o->fd);
	return false;
}

/* Splits path; a link to an existing file is followed, so that the link stays. */
static int find_directory(struct image_output *o, const char *path, bool exists)
{
	cleanup_free char *real = exists ? realpath(path, NULL) : strdup(path);
	char *slash;

	if (!real)
		return -errno;
	slash = strrchr(real, '/');
	o->base = strdup(slash ? slash + 1 : real);
	if (!o->base)
		return -ENOMEM;
	if (*o->base == '\0')
		return -EISDIR;
	if (slash)
		slash[slash == real] = '\0';
	o->dirfd = open(slash ? real : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A directory that may be written but not read can still take the file. */
	if (o->dirfd < 0 && errno == EACCES)
		o->dirfd = open(slash ? real : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return o->dirfd < 0 ? -errno : 0;
}

static int open_path(struct image_output *o, const char *path)
{
	struct stat st;
	bool exists = stat(path, &st) == 0;
	int r;

	if (exists && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (exists && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return o->fd < 0 ? -errno : 0;
	}
	r = find_directory(o, path, exists);
	if (r < 0)
		return r;
	if (!open_unnamed(o)) {
		r = open_named(o);
		if (r < 0)
			return r;
	}
	/* Whatever the umask says. */
	return fchmod(o->fd, 0600) < 0 ? -errno : 0;
}

/*
 * Both ends of a pipe sleep and wake less often when it holds more; what it holds is copied,
 * for whoever reads it may keep pages that it was given (tee(2), splice(2)) for as long as it likes.
 */
static void widen_pipe(int fd)
{
	int now = fcntl(fd, F_GETPIPE_SZ);

	if (now > 0 && now < PIPE_SIZE)
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

int image_output_open(struct image_output *ret, const char *path, struct error **err)
{
	int r;

	if (strcmp(path, "-") == 0) {
		if (isatty(STDOUT_FILENO))
			return refuse(err, EINVAL, "send it to a file or a pipe",
				      "an image is not written to a terminal");
		return image_output_open_fd(ret, STDOUT_FILENO, "standard output", err);
	}
	ret->shown = strdup(path);
	if (!ret->shown)
		return fail_errno(err, ENOMEM, "cannot create %s", path);
	r = open_path(ret, path);
	if (r < 0)
		return cannot_create(path, -r, err);
	widen_pipe(ret->fd);
	return 0;
}

int image_output_open_fd(struct image_output *ret, int fd, const char *name, struct error **err)
{
	ret->shown = strdup(name);
	if (!ret->shown)
		return fail_errno(err, ENOMEM, "cannot write %s", name);
	ret->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ret->fd < 0)
		return cannot_create(name, errno, err);
	widen_pipe(ret->fd);
	return 0;
}

int image_output_write(struct image_output *o, struct iovec *iov, int count, struct error **err)
{
	while (count > 0) {
		ssize_t n = writev(o->fd, iov, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return image_output_failed(o, errno, err);
		while (count > 0 && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int image_output_read_side(const struct image_output *o)
{
	struct stat st;
	char link[64];
	int fd;

	if (fstat(o->fd, &st) < 0 || !S_ISREG(st.st_mode) || fcntl(o->fd, F_GETFL) & O_APPEND)
		return -EOPNOTSUPP;
	snprintf(link, sizeof link, "/proc/self/fd/%d", o->fd);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -EOPNOTSUPP : fd;
}

int64_t image_output_leave(struct image_output *o, uint64_t len, struct error **err)
{
	off_t at = lseek(o->fd, (off_t)len, SEEK_CUR);

	return at < 0 ? image_output_failed(o, errno, err) : at - (off_t)len;
}

int image_output_write_at(struct image_output *o, const void *bytes, size_t len, uint64_t at,
			  struct error **err)
{
	int r = fd_pwrite(o->fd, bytes, len, at);

	return r < 0 ? image_output_failed(o, -r, err) : 0;
}

void image_output_begin_sync(const struct image_output *o, uint64_t at, uint64_t len)
{
	sync_file_range(o->fd, (off_t)at, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

/* Gives an unnamed file the temporary name that a rename over an existing file needs. */
static int link_temp(struct image_output *o, const char *link)
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		cleanup_free char *temp = temp_name(o->base);

		if (!temp)
			return -ENOMEM;
		if (linkat(AT_FDCWD, link, o->dirfd, temp, AT_SYMLINK_FOLLOW) == 0) {
			o->temp = temp;
			temp = NULL;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int publish(struct image_output *o)
{
	char link[64];
	int r;

	if (!o->temp) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", o->fd);
		if (linkat(AT_FDCWD, link, o->dirfd, o->base, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		r = link_temp(o, link);
		if (r < 0)
			return r;
	}
	if (renameat(o->dirfd, o->temp, o->dirfd, o->base) < 0)
		return -errno;
	free_strp(&o->temp);
	return 0;
}

/* Pipes and devices cannot be made durable, and some file systems need not be. */
static int make_durable(int fd)
{
	if (fsync(fd) == 0 || errno == EINVAL || errno == EBADF || errno == ENOTSUP)
		return 0;
	return -errno;
}

int image_output_commit(struct image_output *o, struct error **err)
{
	int r = make_durable(o->fd);

	if (r == 0 && o->dirfd >= 0)
		r = publish(o);
	if (r < 0)
		return image_output_failed(o, -r, err);
	/* It may have taken the place of another one: it stays. */
	r = o->dirfd >= 0 ? make_durable(o->dirfd) : 0;
	return r < 0 ? fail_errno(err, -r, "%s is complete, but that it is there is not on the disk",
				  o->shown)
		     : 0;
}

void image_output_close(struct image_output *o)
{
	if (o->temp)
		unlinkat(o->dirfd, o->temp, 0);
	close_fdp(&o->fd);
	close_fdp(&o->dirfd);
	free_strp(&o->temp);
	free_strp(&o->base);
	free_strp(&o->shown);
}

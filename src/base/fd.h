/* Descriptors: scoped closing, and reads and writes that do not stop half-way. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void close_fdp(int *fd);
#define cleanup_close __attribute__((cleanup(close_fdp)))

/* Gives fd away: the variable becomes -1 and the scope will not close it. */
#define fd_steal(fdp)                     \
	({                                \
		int stolen_ = *(fdp);     \
		*(fdp) = -1;              \
		stolen_;                  \
	})

/*
 * All of it, or -errno.  A read that meets the end of the file, or a pread an error after its first bytes,
 * returns the bytes that came.
 */
ssize_t fd_read(int fd, void *buf, size_t len);
ssize_t fd_pread(int fd, void *buf, size_t len, uint64_t offset);
int fd_write(int fd, const void *buf, size_t len);
int fd_pwrite(int fd, const void *buf, size_t len, uint64_t offset);

/*
 * Reads a whole file whose size is not known (as in /proc) into a
 * NUL-terminated buffer that the caller frees.  dirfd as in openat(2).
 * Returns the length, or -errno.
 */
ssize_t fd_slurp(int dirfd, const char *path, char **ret);
/*
 * As above, of a file of /proc that is one record (status, stat, fdinfo, ...): what a read(2)
 * returned of it before the buffer was full is all of it.
 */
ssize_t fd_slurp_record(int dirfd, const char *path, char **ret);
ssize_t fd_slurp_open(int fd, char **ret);
/*
 * The next bytes of a file of /proc that has many records, until the buffer is full or the file
 * ends; in pieces in which the kernel makes no record twice.  Returns how many, or -errno.
 */
ssize_t fd_read_records(int fd, char *buf, size_t size);

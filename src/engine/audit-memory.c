/* Memory shared with somebody who is not trusted: what a peer can do to it, and what seals forbid. */
#include "engine/audit-try.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif

#define TRY(name) int name(const struct audit_scene *s, const struct audit_victim *v)

/* Two pages; the flags of memfd_create(2) beside the usual ones.  -EINVAL: unknown here. */
static int make_memory(unsigned int flags)
{
	int fd = memfd_create("stasis-audit", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	/* vm.memfd_noexec=2 takes none without this. */
	if (fd < 0 && errno == EACCES && !flags)
		fd = memfd_create("stasis-audit", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, 2 * AUDIT_PAGE) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int seal(int fd, int seals)
{
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return errno == EINVAL ? RESULT_ABSENT : -errno;
	return 0;
}

static volatile char *map_shared(int fd, int prot)
{
	void *at = mmap(NULL, 2 * AUDIT_PAGE, prot, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int job_truncate(const void *fd)
{
	return ftruncate(*(const int *)fd, AUDIT_PAGE) < 0 ? -errno : 0;
}

/* A peer, another process, halves the memory; and then we read its second page. */
static int truncate_and_read(int seals, bool read_then)
{
	cleanup_close int fd = make_memory(0);
	volatile char *at = fd < 0 ? NULL : map_shared(fd, PROT_READ);
	int r;

	if (!at)
		return fd < 0 ? fd : -errno;
	r = seals ? seal(fd, seals) : 0;
	if (r)
		return r;
	r = audit_nested(0, 0, job_truncate, &fd);
	if (!read_then)
		return r;
	/* Who is not dumpable leaves no core. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return at[AUDIT_PAGE] == 0 ? 0 : RESULT_BROKEN;
}

TRY(try_shared_truncate)
{
	(void)s;
	(void)v;
	return truncate_and_read(0, false);
}

TRY(try_shared_read)
{
	(void)s;
	(void)v;
	return truncate_and_read(0, true);
}

TRY(try_shrink_truncate)
{
	(void)s;
	(void)v;
	return truncate_and_read(F_SEAL_SHRINK, false);
}

TRY(try_shrink_read)
{
	(void)s;
	(void)v;
	return truncate_and_read(F_SEAL_SHRINK, true);
}

/* Tries what is left to memory with a writable mapping from before the seal. */
static int with_future_sealed(int (*access)(int fd, volatile char *old))
{
	cleanup_close int fd = make_memory(0);
	volatile char *old;
	int r;

	if (fd < 0)
		return fd;
	old = map_shared(fd, PROT_READ | PROT_WRITE);
	r = old ? seal(fd, F_SEAL_FUTURE_WRITE) : -errno;
	return r ? r : access(fd, old);
}

static int write_future_sealed(int fd, volatile char *old)
{
	(void)old;
	return pwrite(fd, "x", 1, 0) < 0 ? -errno : 0;
}

static int map_future_sealed(int fd, volatile char *old)
{
	(void)old;
	return map_shared(fd, PROT_READ | PROT_WRITE) ? 0 : -errno;
}

static int reopen_future_sealed(int fd, volatile char *old)
{
	char path[40];
	cleanup_close int again = -1;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	return again < 0 ? -errno : map_future_sealed(again, old);
}

static int store_future_sealed(int fd, volatile char *old)
{
	char c = 0;

	*old = 'x';
	return pread(fd, &c, 1, 0) == 1 && c == 'x' ? 0 : RESULT_BROKEN;
}

TRY(try_future_write)
{
	(void)s;
	(void)v;
	return with_future_sealed(write_future_sealed);
}

TRY(try_future_map)
{
	(void)s;
	(void)v;
	return with_future_sealed(map_future_sealed);
}

TRY(try_future_reopen)
{
	(void)s;
	(void)v;
	return with_future_sealed(reopen_future_sealed);
}

TRY(try_future_old_map)
{
	(void)s;
	(void)v;
	return with_future_sealed(store_future_sealed);
}

/* A file that is not executable stays so, ... */
TRY(try_exec_chmod)
{
	cleanup_close int fd = make_memory(MFD_NOEXEC_SEAL);

	(void)s;
	(void)v;
	if (fd < 0)
		return fd == -EINVAL ? RESULT_ABSENT : fd;
	return fchmod(fd, 0777) < 0 ? -errno : 0;
}

/* ... and one that is cannot be changed. */
TRY(try_exec_write)
{
	cleanup_close int fd = make_memory(MFD_EXEC);
	int r;

	(void)s;
	(void)v;
	if (fd < 0)
		return fd == -EINVAL ? RESULT_ABSENT : fd;
	r = seal(fd, F_SEAL_EXEC);
	if (r)
		return r;
	return pwrite(fd, "x", 1, 0) < 0 ? -errno : 0;
}

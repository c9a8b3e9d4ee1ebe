#include "inject/track.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"

/* Newer than the headers of older systems. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURES ((uint64_t)(UFFD_FEATURE_PAGEFAULT_FLAG_WP |                 \
			     1u << 12 /* WP_HUGETLBFS_SHMEM */ |              \
			     1u << 13 /* WP_UNPOPULATED */ | 1u << 15 /* WP_ASYNC */))

static int open_api(int uffd)
{
	struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};

	return ioctl(uffd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

static bool try_uffd(void *page)
{
	uint64_t at = (uint64_t)(uintptr_t)page, end = at + ARCH_PAGE_SIZE;
	cleanup_close int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	cleanup_close int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	/* A tool that its user may not read may not read its own: the two came with one version. */
	return uffd >= 0 && open_api(uffd) == 0 && track_register(uffd, at, end) == 0 &&
	       (pagemap < 0 || track_arm(pagemap, at, end) == 0);
}

static bool try_soft_dirty(void *page)
{
	cleanup_close int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	/* What was never cleared is dirty, where the kernel knows the word. */
	return pagemap >= 0 && pagemap_read(pagemap, (uint64_t)(uintptr_t)page, 1, &entry) == 0 &&
	       pagemap_is_soft_dirty(entry);
}

enum track_how track_probe(void)
{
	char *page = mmap(NULL, ARCH_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	enum track_how how = TRACK_NOTHING;

	if (page == MAP_FAILED)
		return TRACK_NOTHING;
	*page = 1;
	if (try_soft_dirty(page))
		how = TRACK_SOFT_DIRTY;
	if (try_uffd(page))
		how = TRACK_UFFD;
	munmap(page, ARCH_PAGE_SIZE);
	return how;
}

struct meeting {
	int pidfd;
	int64_t made; /* in the target: its number there, or -errno */
	int taken;
};

static void take_descriptor(void *arg, const struct batch *b)
{
	struct meeting *m = arg;

	m->made = batch_result(b, 0);
	if (m->made >= 0)
		m->taken = (int)syscall(SYS_pidfd_getfd, m->pidfd, (int)m->made, 0);
	if (m->made >= 0 && m->taken < 0)
		m->made = -errno;
}

int track_make(struct injection *in, int pidfd, struct error **err)
{
	struct batch b cleanup_batch = {0};
	struct meeting m = {.pidfd = pidfd, .made = -ECANCELED, .taken = -1};
	int r;

	if (batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	batch_call(&b, BATCH_MAY_FAIL, SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	/* Without us, too, it goes on to this one. */
	batch_call(&b, BATCH_MAY_FAIL, SYS_close, 0);
	batch_refer(&b, 1, 0, 0);
	r = inject_run_meeting(in, &b, 1, take_descriptor, &m, NULL, err);
	if (r == 0 && m.made >= 0)
		r = open_api(m.taken);
	if (r == 0 && m.made < 0)
		r = (int)m.made;
	if (r == 0)
		return m.taken;
	close_fdp(&m.taken);
	return err && *err ? r : fail_errno(err, -r, "process %d cannot be watched", in->pid);
}

int track_register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register reg = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_WP};

	return ioctl(uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

void track_disarm(int uffd, uint64_t start, uint64_t end)
{
	const uint64_t step = UINT64_C(4) << 20;

	while (start < end) {
		uint64_t size = end - start < step ? end - start : step;
		struct uffdio_writeprotect off = {.range = {start, size}};

		if (ioctl(uffd, UFFDIO_WRITEPROTECT, &off) < 0 && errno != EAGAIN)
			return;
		start += size;
	}
}

int track_arm(int pagemap, uint64_t start, uint64_t end)
{
	return pagemap_protect(pagemap, start, end);
}

int track_clear_soft_dirty(int proc)
{
	cleanup_close int fd = openat(proc, "clear_refs", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write(fd, "4", 1);
}

static int add_soft_dirty(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	uint64_t entries[512];

	while (start < end) {
		size_t n = (end - start) / ARCH_PAGE_SIZE;
		int r;

		if (n > sizeof entries / sizeof *entries)
			n = sizeof entries / sizeof *entries;
		r = pagemap_read(pagemap, start, n, entries);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++, start += ARCH_PAGE_SIZE) {
			/*
			 * Others have it, too: perhaps it is the zero page, come where a page was
			 * dropped, and nobody has written to that.
			 */
			bool told = pagemap_is_soft_dirty(entries[i]) || pagemap_is_shared(entries[i]);

			if (told && pagemap_add(ret, start, start + ARCH_PAGE_SIZE) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

int track_written(int pagemap, enum track_how how, uint64_t start, uint64_t end,
		  struct page_ranges *ret)
{
	size_t before = ret->list.count;
	int r = how == TRACK_UFFD	  ? pagemap_written(pagemap, start, end, ret)
		: how == TRACK_SOFT_DIRTY ? add_soft_dirty(pagemap, start, end, ret)
					  : -EPERM;

	if (r == 0 || r == -ENOMEM)
		return r;
	/* It is not watched. */
	ret->list.count = before;
	return pagemap_add(ret, start, end);
}

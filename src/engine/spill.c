#include "engine/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "inject/pagemap.h"

#define CHUNK (1u << 20)
#define WINDOW (64ull << 20)

static bool shows(const struct vm_area *a, const struct file *f)
{
	/* The number of a System V segment, which is never spilled, may be the same. */
	return !a->gate && !(a->path && str_starts(a->path, "/SYSV")) && a->inode == f->area->inode && a->dev_major == f->area->dev_major &&
	       a->dev_minor == f->area->dev_minor;
}

static bool is_zero(const char *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/*
 * Copies memory of the task to a file.  Returns how much there was: behind the end of
 * a file /proc/PID/mem says EIO, where the program would get SIGBUS.
 */
static int64_t copy_out(const struct task *task, uint64_t address, uint64_t size, int fd,
			uint64_t offset)
{
	cleanup_free char *buf = malloc(CHUNK);
	uint64_t done = 0;

	if (!buf)
		return -ENOMEM;
	while (done < size) {
		size_t want = size - done < CHUNK ? size - done : CHUNK;
		ssize_t got = fd_pread(task->mem, buf, want, address + done);

		for (ssize_t at = 0; at < got; at += ARCH_PAGE_SIZE) {
			size_t part = got - at < (ssize_t)ARCH_PAGE_SIZE ? (size_t)(got - at)
									 : ARCH_PAGE_SIZE;
			int r;

			/* Holes stay holes. */
			if (is_zero(buf + at, part))
				continue;
			r = fd_pwrite(fd, buf + at, part, offset + done + (uint64_t)at);
			if (r < 0)
				return r;
		}
		if (got <= 0)
			break;
		done += (uint64_t)got;
		if ((size_t)got < want)
			break;
	}
	return (int64_t)done;
}

/* The pages of a private mapping that are still the file's. */
static int copy_clean_pages(const struct task *task, const struct vm_area *a, int pagemap, int fd)
{
	struct page_ranges own = {0};
	uint64_t at = a->start;
	int64_t r = pagemap_private(pagemap, a->start, a->end, &own);

	for (size_t i = 0; r >= 0 && i <= own.list.count; i++) {
		uint64_t to = i < own.list.count ? own.list.items[i].start : a->end;

		if (to > at)
			r = copy_out(task, at, to - at, fd, a->offset + (at - a->start));
		if (i < own.list.count)
			at = own.list.items[i].end;
	}
	vec_free(&own.list);
	return r < 0 ? (int)r : 0;
}

/*
 * A shared mapping of length 0 is duplicated (mremap(2)), and the duplicate can be moved along the file
 * (remap_file_pages(2)): so all of it can be read, mapped or not, without a descriptor.
 */
static int copy_by_window(const struct task *task, const struct vm_area *a, int fd,
			  struct injection *in, uint64_t *ret_size, struct error **err)
{
	uint64_t offset = 0, size = WINDOW;
	int64_t window, r;
	int64_t got = 0;

	for (;; offset += size) {
		int res;

		/* Limits on address space and locked memory count the window too. */
		do {
			res = inject_call(in, SYS_mremap,
					  (const uint64_t[6]){a->start, 0, size, MREMAP_MAYMOVE},
					  &window, err);
		} while (res == 0 && (window == -EAGAIN || window == -ENOMEM) &&
			 (size /= 2) >= ARCH_PAGE_SIZE);
		if (res < 0)
			return res;
		if (window < 0 && window >= -4095)
			return fail_errno(err, (int)-window, "cannot see all of %s", a->path);
		res = inject_call(in, SYS_remap_file_pages,
				  (const uint64_t[6]){(uint64_t)window, size, 0,
						      offset / ARCH_PAGE_SIZE, 0},
				  &r, err);
		if (res == 0 && r == 0)
			got = copy_out(task, (uint64_t)window, size, fd, offset);
		if (res == 0)
			res = inject_call(in, SYS_munmap,
					  (const uint64_t[6]){(uint64_t)window, size},
					  &(int64_t){0}, err);
		if (res < 0)
			return res;
		if (r < 0)
			return fail_errno(err, (int)-r, "cannot see all of %s", a->path);
		if (got < 0)
			return fail_errno(err, (int)-got, "cannot copy %s", a->path);
		if ((uint64_t)got < size) {
			*ret_size = offset + (uint64_t)got;
			return 0;
		}
	}
}

static int copy_mapped(const struct file *f, int fd, uint64_t *ret_size, struct error **err)
{
	cleanup_close int pagemap = openat(f->task->proc, "pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t end = 0;

	vec_each(a, &f->task->areas.list) {
		int r;

		if (!shows(a, f))
			continue;
		r = copy_clean_pages(f->task, a, pagemap, fd);
		if (r < 0)
			return fail_errno(err, -r, "cannot copy %s", f->link);
		if (a->offset + (a->end - a->start) > end)
			end = a->offset + (a->end - a->start);
	}
	*ret_size = end;
	return 0;
}

static int spill_file(struct file *f, struct injection *in, struct error **err)
{
	cleanup_close int fd = memfd_create("stasis-spill", MFD_CLOEXEC);
	const struct vm_area *shared = NULL;
	uint64_t size = 0;
	int r;

	if (fd < 0)
		return fail_errno(err, errno, "cannot make room for %s", f->link);
	vec_each(a, &f->task->areas.list)
		/* A duplicate of huge pages cannot grow (mremap(2): EINVAL). */
		if (shows(a, f) && a->shared && (a->prot & PROT_READ) &&
		    !(a->flags & VM_FLAG(HUGETLB)))
			shared = a;
	r = shared ? copy_by_window(f->task, shared, fd, in, &size, err)
		   : copy_mapped(f, fd, &size, err);
	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)size) < 0)
		return fail_errno(err, errno, "cannot make room for %s", f->link);
	f->own = fd_steal(&fd);
	f->st.st_size = (off_t)size;
	return 0;
}

int spill_mapped_files(struct capture *c, const struct task *task, struct injection *in,
		       struct error **err)
{
	vec_each(f, &c->files.files) {
		int r;

		if ((*f)->task != task || !file_needs_spilling(*f))
			continue;
		r = spill_file(*f, in, err);
		if (r < 0)
			return r;
	}
	return 0;
}

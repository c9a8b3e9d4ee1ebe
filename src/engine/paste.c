#include "engine/paste.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/offspring.h"
#include "engine/space.h"
#include "engine/uffd.h"
#include "inject/pagemap.h"
#include "priv/calls.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_PAGE (UINT64_C(2) << 20)
/* A range that is shorter is written as fast as it is registered. */
#define WORTH_REGISTERING (UINT64_C(256) << 10)
/* Each splits a mapping for a while, and of mappings there may be so many and no more. */
#define MOST_HUGE_RANGES 64

/* ---- Huge pages ----------------------------------------------------------------------- */

static bool advised(const Rec__Area *a, uint32_t advice)
{
	for (size_t i = 0; i < a->n_advice; i++)
		if (a->advice[i] == advice)
			return true;
	return false;
}

/* Whoever touches memory that nobody has asked to be huge is given a huge page. */
static bool huge_by_itself(void)
{
	cleanup_free char *text = NULL;

	return fd_slurp(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", &text) > 0 &&
	       strstr(text, "[always]");
}

static bool is_anonymous(const Rec__Area *a)
{
	return !a->special && !a->file && (a->flags & MAP_TYPE) == MAP_PRIVATE &&
	       !(a->flags & MAP_HUGETLB);
}

static void look(struct paste *p)
{
	if (p->pagemap < 0)
		p->pagemap = priv_open_newborn(p->task->proc, "pagemap", O_RDONLY, p->apart);
}

/*
 * What was written already, or is of a fork's parent: the image may say nothing of that, as both
 * have the same.
 */
static bool is_there(const struct paste *p, uint64_t address)
{
	uint64_t entry;

	return p->pagemap < 0 || pagemap_read(p->pagemap, address, 1, &entry) < 0 ||
	       pagemap_is_there(entry);
}

/*
 * A page of each huge one is touched, and then there is something to collapse; which is done
 * while the memory is empty, for that is less to copy.
 */
static int touch_and_collapse(const struct paste *p, const Rec__Range *range, struct batch *b,
			      struct error **err)
{
	const struct rebuilt_task *t = p->task;
	char zero = 0;
	int res = make_room(t->injection, b, 1, "making huge pages", err);

	if (res < 0)
		return res;
	for (uint64_t at = range->start; at < range->end; at += HUGE_PAGE) {
		struct iovec local = {&zero, 1}, remote = {(void *)(uintptr_t)at, 1};

		/* What cannot be touched has no huge pages then. */
		if (!is_there(p, at) && process_vm_writev(t->pid, &local, 1, &remote, 1, 0) != 1)
			return 0;
	}
	batch_call(b, BATCH_MAY_FAIL, SYS_madvise, range->start, range->end - range->start,
		   MADV_COLLAPSE);
	return 0;
}

static bool wants_collapse(const Rec__Area *a)
{
	return a->n_huge && is_anonymous(a) && !advised(a, MADV_HUGEPAGE) &&
	       (a->prot & PROT_WRITE);
}

static int make_huge(struct paste *p, struct error **err)
{
	const struct rebuilt_task *t = p->task;
	struct batch b cleanup_batch = {0};
	const Rec__Memory *m = t->memory;
	bool some = false;
	int res = 0;

	for (size_t i = 0; i < m->n_areas && !some; i++)
		some = wants_collapse(m->areas[i]);
	if (!some || huge_by_itself())
		return 0;
	look(p);
	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	res = enter_task(t, err);
	for (size_t i = 0; i < m->n_areas && res == 0; i++)
		for (size_t k = 0; wants_collapse(m->areas[i]) && k < m->areas[i]->n_huge && res == 0; k++)
			res = touch_and_collapse(p, m->areas[i]->huge[k], &b, err);
	return res < 0 ? res : run_batch(t->injection, &b, "making huge pages", err);
}

int paste_begin(struct paste *p, const struct rebuild *r, const struct rebuilt_task *t,
		struct error **err)
{
	*p = PASTE_NONE;
	p->task = t;
	p->apart = r->private_pids;
	return make_huge(p, err);
}

/* ---- The way that always goes ---------------------------------------------------------- */

static int write_directly(const struct paste *p, const Rec__Area *a, uint64_t address,
			  const char *data, uint64_t size)
{
	const struct rebuilt_task *t = p->task;
	struct iovec local = {(void *)data, size}, remote = {(void *)(uintptr_t)address, size};

	if ((a->prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE) &&
	    process_vm_writev(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)size)
		return 0;
	/* What the program may not write itself: /proc/PID/mem gives private copies of the pages. */
	return fd_pwrite(t->mem, data, size, address);
}

/* ---- The fast way ----------------------------------------------------------------------- */

static void try_range(struct paste *p, uint64_t start, uint64_t end)
{
	struct paste_range *slot;

	if (end < start + WORTH_REGISTERING)
		return;
	slot = vec_push(&p->ranges);
	if (!slot)
		return;
	*slot = (struct paste_range){start, end};
	if (uffd_register(p->uffd, start, end) < 0)
		p->ranges.count--;
}

/*
 * Of a mapping without a page each part that is registered would get anonymous pages' bookkeeping
 * of its own, and the kernel could not join the parts again (find_mergeable_anon_vma).  A page that
 * is to be written anyway is touched while it is whole.
 */
static bool touch(const struct paste *p, const Rec__Area *a, uint64_t address)
{
	char zero = 0;

	return is_there(p, address) || write_directly(p, a, address, &zero, 1) == 0;
}

/* Huge pages are nothing that userfaultfd(2) has; in the rest of the area it has its way. */
static void try_area(struct paste *p, const Rec__Area *a)
{
	uint64_t at = a->start;

	if (!is_anonymous(a) || a->n_huge > MOST_HUGE_RANGES)
		return;
	if (a->n_huge) {
		look(p);
		if (!touch(p, a, a->huge[0]->start))
			return;
	}
	for (size_t i = 0; i < a->n_huge; i++) {
		if (a->huge[i]->start > at)
			try_range(p, at, a->huge[i]->start);
		at = a->huge[i]->end > at ? a->huge[i]->end : at;
	}
	if (at < a->end)
		try_range(p, at, a->end);
}

int paste_speed_up(struct paste *p, struct error **err)
{
	const Rec__Memory *m = p->task->memory;

	p->uffd = uffd_open(p->task, err);
	if (p->uffd < 0)
		return p->uffd == -EOPNOTSUPP ? 0 : p->uffd;
	for (size_t i = 0; i < m->n_areas; i++)
		try_area(p, m->areas[i]);
	return 0;
}

void paste_end(struct paste *p)
{
	close_fdp(&p->uffd);
	close_fdp(&p->pagemap);
	vec_free(&p->ranges);
}

/* ---- Writing ---------------------------------------------------------------------------- */

/* The area that holds address; areas are sorted. */
static const Rec__Area *find_area(const Rec__Memory *m, uint64_t address)
{
	size_t lo = 0, hi = m->n_areas;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->areas[mid]->end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n_areas && m->areas[lo]->start <= address ? m->areas[lo] : NULL;
}

/* The first range that ends behind address. */
static const struct paste_range *find_range(const struct paste *p, uint64_t address)
{
	size_t lo = 0, hi = p->ranges.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->ranges.items[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->ranges.count ? &p->ranges.items[lo] : NULL;
}

/* Within one area, all of it registered. */
static int put_missing(const struct paste *p, const Rec__Area *a, uint64_t address,
		       const char *data, uint64_t size)
{
	uint64_t done = 0, most = size;

	while (done < size) {
		uint64_t n, want = size - done < most ? size - done : most;
		int res = uffd_copy(p->uffd, address + done, data + done, want, &n);

		done += n;
		if (res == 0 || n || res == -EAGAIN)
			continue;
		if (res == -EEXIST) {
			/* There is a page: of a fork's parent, or of a run that came twice. */
			res = write_directly(p, a, address + done, data + done, ARCH_PAGE_SIZE);
			done += ARCH_PAGE_SIZE;
		} else if ((res == -ENOENT || res == -EINVAL) && want > ARCH_PAGE_SIZE) {
			/* Across two mappings: an area that was forked in parts. */
			most = want / 2 & ~(uint64_t)(ARCH_PAGE_SIZE - 1);
			res = 0;
		}
		if (res < 0)
			return res;
	}
	return 0;
}

/* What lies within one area, in parts that are registered or not. */
static int write_area(const struct paste *p, const Rec__Area *a, uint64_t address,
		      const char *data, uint64_t size)
{
	int res = 0;

	for (uint64_t done = 0; done < size && res == 0;) {
		const struct paste_range *r = find_range(p, address + done);
		uint64_t at = address + done, part = size - done;
		bool within = r && r->start <= at;

		if (within && part > r->end - at)
			part = r->end - at;
		else if (r && !within && part > r->start - at)
			part = r->start - at;
		res = within ? put_missing(p, a, at, data + done, part)
			     : write_directly(p, a, at, data + done, part);
		done += part;
	}
	return res;
}

/* A run may span several areas: mappings that stand side by side. */
int paste_write(const struct paste *p, uint64_t address, const void *data, uint64_t size,
		struct error **err)
{
	for (uint64_t done = 0; done < size;) {
		uint64_t at = address + done, part = size - done;
		const Rec__Area *a = find_area(p->task->memory, at);
		int res;

		if (!a || a->special || (a->flags & MAP_TYPE) != MAP_PRIVATE)
			return refuse(err, EBADMSG, NULL,
				      "the image has memory at 0x%" PRIx64 ", where the program has none",
				      at);
		if (part > a->end - at)
			part = a->end - at;
		res = write_area(p, a, at, (const char *)data + done, part);
		if (res < 0)
			return fail_errno(err, -res, "cannot write the memory at 0x%" PRIx64, at);
		done += part;
	}
	return 0;
}

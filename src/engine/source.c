#include "engine/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "base/beside.h"
#include "base/fd.h"
#include "base/str.h"

/* The pages of a smaller one are found together with its neighbours'. */
#define WORTH_A_CALL ((uint64_t)1 << 20)
/* To look through it takes longer than to begin a thread. */
#define WORTH_A_THREAD ((uint64_t)64 << 20)
/* To find out whether less may be pinned takes as long as reading it without. */
#define WORTH_PINNING ((size_t)4 * ARCH_PAGE_SIZE)

static int open_pagemap(struct page_source *s, struct error **err)
{
	cleanup_free char *path = str_format("/proc/%d/pagemap", s->pid);

	s->pagemap = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	return s->pagemap >= 0 ? 0
			       : fail_errno(err, errno, "cannot see the pages of process %d", s->pid);
}

static int duplicate_mem(struct page_source *s, int mem, struct error **err)
{
	s->mem = fcntl(mem, F_DUPFD_CLOEXEC, 3);
	return s->mem >= 0 ? open_pagemap(s, err)
			   : fail_errno(err, errno, "cannot read the memory of process %d", s->pid);
}

int source_of_task(struct page_source *ret, const struct task *task, struct error **err)
{
	*ret = PAGE_SOURCE_NONE;
	ret->pid = task->pid;
	return duplicate_mem(ret, task->mem, err);
}

int source_of_twin(struct page_source *ret, const struct twin *twin, struct error **err)
{
	*ret = PAGE_SOURCE_NONE;
	ret->pid = twin->pid;
	ret->frozen = !twin->helper;
	return duplicate_mem(ret, twin->mem, err);
}

void source_of_spool(struct page_source *ret, const struct spool *spool,
		     const struct spooled_list *list)
{
	*ret = PAGE_SOURCE_NONE;
	ret->spool = spool;
	ret->spooled = list;
}

unsigned char *source_near(const struct page_source *s, struct page_range range)
{
	return s->pid ? NULL : spool_near(s->spool, s->spooled, range.start, range.end);
}

void source_close(struct page_source *s)
{
	close_fdp(&s->mem);
	close_fdp(&s->pagemap);
	*s = PAGE_SOURCE_NONE;
}

static bool is_anonymous(const Rec__Area *a)
{
	return !a->file && !a->special && !(a->flags & MAP_HUGETLB);
}

int source_ranges(const struct page_source *s, struct page_walk *walk, const Rec__Area *a,
		  struct page_range part, struct page_ranges *ret)
{
	if (!s->pid)
		return spool_ranges(s->spooled, part.start, part.end, ret);
	if (is_anonymous(a) && part.end - part.start >= WORTH_A_CALL)
		return pagemap_anonymous(s->pagemap, part.start, part.end, ret);
	return pagemap_walk(walk, s->pagemap, part.start, part.end, ret);
}

int area_pages(int pagemap, const Rec__Area *a, struct page_ranges *ret)
{
	return area_part_pages(pagemap, a, (struct page_range){a->start, a->end}, ret);
}

int area_part_pages(int pagemap, const Rec__Area *a, struct page_range part,
		    struct page_ranges *ret)
{
	return is_anonymous(a) ? pagemap_anonymous(pagemap, part.start, part.end, ret)
			       : pagemap_private(pagemap, part.start, part.end, ret);
}

struct clean_look {
	struct beside beside;
	int pagemap;
	bool anonymous;
	uint64_t start, end;
	struct page_ranges found;
	int result;
};

static void look_for_clean(void *arg)
{
	struct clean_look *l = arg;

	l->result = pagemap_clean(l->pagemap, l->start, l->end, l->anonymous, &l->found);
}

/* The halves of a large area at the same time: the kernel looks at each page. */
static int clean_halves(struct clean_look *first, struct page_ranges *ret)
{
	struct clean_look second = *first, *const halves[] = {first, &second};
	uint64_t pages = (first->end - first->start) / ARCH_PAGE_SIZE;
	int r;

	first->end = second.start = first->start + pages / 2 * ARCH_PAGE_SIZE;
	beside_start(&second.beside, look_for_clean, &second);
	look_for_clean(first);
	beside_wait(&second.beside);
	r = first->result < 0 ? first->result : second.result;
	for (size_t i = 0; i < 2; i++) {
		vec_each(it, &halves[i]->found.list)
			if (r == 0)
				r = pagemap_add(ret, it->start, it->end);
		vec_free(&halves[i]->found.list);
	}
	return r;
}

int area_clean_pages(int pagemap, const Rec__Area *a, struct page_ranges *ret)
{
	struct clean_look whole = {.pagemap = pagemap, .anonymous = is_anonymous(a),
				   .start = a->start, .end = a->end};
	int r = a->end - a->start >= WORTH_A_THREAD
			? clean_halves(&whole, ret)
			: pagemap_clean(pagemap, a->start, a->end, whole.anonymous, ret);

	/* It is not watched. */
	return r == -ENOMEM ? r : 0;
}

/*
 * The fast way is process_vm_readv(2), but it pins the pages, and of a page that is shared since
 * fork(2) the process would be given a copy of its own for that (FOLL_UNSHARE).
 */
static bool may_be_pinned(const struct page_source *s, uint64_t address, size_t size)
{
	uint64_t entries[512];

	if (s->frozen)
		return false;
	for (size_t pages = size / ARCH_PAGE_SIZE, n; pages; pages -= n) {
		n = pages < sizeof entries / sizeof *entries ? pages
							     : sizeof entries / sizeof *entries;
		if (pagemap_read(s->pagemap, address, n, entries) < 0)
			return false;
		for (size_t i = 0; i < n; i++)
			if (pagemap_is_shared(entries[i]))
				return false;
		address += n * ARCH_PAGE_SIZE;
	}
	return true;
}

static bool read_pinned(const struct page_source *s, uint64_t address, void *buf, size_t size)
{
	struct iovec local = {buf, size}, remote = {(void *)(uintptr_t)address, size};

	return process_vm_readv(s->pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

int source_peek(const struct page_source *s, uint64_t address, void *buf, size_t size)
{
	ssize_t n = fd_pread(s->mem, buf, size, address);

	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EFAULT;
}

int source_read(const void *source, uint64_t address, void *buf, size_t size)
{
	const struct page_source *s = source;

	if (!s->pid)
		return spool_read(s->spool, s->spooled, address, buf, size);
	/* What the program itself may not read is read by force. */
	if (size > WORTH_PINNING && may_be_pinned(s, address, size) &&
	    read_pinned(s, address, buf, size))
		return 0;
	return source_peek(s, address, buf, size);
}

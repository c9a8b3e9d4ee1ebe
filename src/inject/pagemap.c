#include "inject/pagemap.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "arch/arch.h"
#include "base/fd.h"

/* include/uapi/linux/fs.h since 6.7; the headers of older systems lack it. */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct scan_region {
	uint64_t start, end, categories;
};

#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_PROTECT (1u << 0)     /* flags: PM_SCAN_WP_MATCHING */
#define SCAN_CHECK_WATCHED (1u << 1) /* PM_SCAN_CHECK_WPASYNC */
#define SCAN_WRITTEN (1u << 1)
#define SCAN_FILE (1u << 2)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_PFNZERO (1u << 5)
#define SCAN_HUGE (1u << 6)
#define SCAN_GUARD (1u << 8) /* 6.16 */

/* The bits of an entry of /proc/PID/pagemap. */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_SOFT_DIRTY (UINT64_C(1) << 55)
#define ENTRY_EXCLUSIVE (UINT64_C(1) << 56)
#define ENTRY_FRAME ((UINT64_C(1) << 55) - 1)

#define REGIONS 512
/* Pages: what lies so far behind may be something that is asked for in another way. */
#define LOOK_AHEAD 4096

int pagemap_add(struct page_ranges *ret, uint64_t start, uint64_t end)
{
	struct page_range *last = ret->list.count ? &ret->list.items[ret->list.count - 1] : NULL;

	if (last && last->end == start) {
		last->end = end;
		return 0;
	}
	last = vec_push(&ret->list);
	if (!last)
		return -ENOMEM;
	*last = (struct page_range){start, end};
	return 0;
}

static int add_pages(const struct scan_region *r, void *to)
{
	return pagemap_add(to, r->start, r->end);
}

/* One call, which may end before the end: at arg->walk_end. */
static int scan_once(int pagemap, struct scan_arg *arg,
		     int (*add)(const struct scan_region *region, void *to), void *to)
{
	struct scan_region regions[REGIONS];
	int n;

	arg->size = sizeof *arg;
	arg->vec = (uint64_t)(uintptr_t)regions;
	arg->vec_len = REGIONS;
	n = ioctl(pagemap, SCAN, arg);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		int r = add(&regions[i], to);

		if (r < 0)
			return r;
	}
	return 0;
}

static int scan(int pagemap, struct scan_arg *arg,
		int (*add)(const struct scan_region *region, void *to), void *to)
{
	while (arg->start < arg->end) {
		int r = scan_once(pagemap, arg, add, to);

		if (r < 0)
			return r;
		if (arg->walk_end <= arg->start)
			break;
		arg->start = arg->walk_end;
	}
	return 0;
}

/* Before 6.7.  The zero page looks like any other; its content tells. */
static int read_entries(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	uint64_t entries[4096];

	while (start < end) {
		size_t want = (end - start) / ARCH_PAGE_SIZE;
		ssize_t n;

		if (want > sizeof entries / sizeof *entries)
			want = sizeof entries / sizeof *entries;
		n = fd_pread(pagemap, entries, want * sizeof *entries,
			     start / ARCH_PAGE_SIZE * sizeof *entries);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		for (size_t i = 0; i < (size_t)n / sizeof *entries; i++) {
			uint64_t at = start + i * ARCH_PAGE_SIZE;
			int r;

			if (!(entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) ||
			    (entries[i] & ENTRY_FILE))
				continue;
			r = pagemap_add(ret, at, at + ARCH_PAGE_SIZE);
			if (r < 0)
				return r;
		}
		start += (size_t)n / sizeof *entries * ARCH_PAGE_SIZE;
	}
	return 0;
}

/* A guard marker looks swapped.  Kernels before 6.16 do not know the category, and refuse it. */
static struct scan_arg private_pages(uint64_t start, uint64_t end, uint64_t without)
{
	return (struct scan_arg){
		.start = start,
		.end = end,
		.category_inverted = without,
		.category_mask = without,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};
}

#define NOT_PRIVATE (SCAN_FILE | SCAN_PFNZERO)

static int scan_private(int pagemap, uint64_t start, uint64_t end, uint64_t without,
			struct page_ranges *ret)
{
	struct scan_arg arg = private_pages(start, end, without);

	return scan(pagemap, &arg, add_pages, ret);
}

static int find_private(int pagemap, uint64_t start, uint64_t end, uint64_t without,
			struct page_ranges *ret)
{
	size_t before = ret->list.count;
	int r = scan_private(pagemap, start, end, without | SCAN_GUARD, ret);

	if (r == -EINVAL)
		r = scan_private(pagemap, start, end, without, ret);
	if (r != -ENOTTY && r != -EINVAL)
		return r;
	ret->list.count = before;
	return read_entries(pagemap, start, end, ret);
}

int pagemap_private(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	return find_private(pagemap, start, end, NOT_PRIVATE, ret);
}

int pagemap_anonymous(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	return find_private(pagemap, start, end, NOT_PRIVATE & ~SCAN_FILE, ret);
}

static int scan_clean(int pagemap, uint64_t start, uint64_t end, uint64_t without,
		      struct page_ranges *ret)
{
	struct scan_arg arg = private_pages(start, end, without | SCAN_WRITTEN);

	arg.flags = SCAN_CHECK_WATCHED;
	return scan(pagemap, &arg, add_pages, ret);
}

int pagemap_clean(int pagemap, uint64_t start, uint64_t end, bool anonymous,
		  struct page_ranges *ret)
{
	uint64_t without = anonymous ? NOT_PRIVATE & ~SCAN_FILE : NOT_PRIVATE;
	size_t before = ret->list.count;
	int r = scan_clean(pagemap, start, end, without | SCAN_GUARD, ret);

	if (r == -EINVAL)
		r = scan_clean(pagemap, start, end, without, ret);
	if (r < 0)
		ret->list.count = before;
	return r;
}

/* From start on, as far as one call goes. */
static int walk_on(struct page_walk *w, int pagemap, uint64_t start)
{
	uint64_t end = w->limit > start ? w->limit : ARCH_USER_END;
	struct scan_arg arg = private_pages(start, end, NOT_PRIVATE | SCAN_GUARD);
	int r;

	w->pagemap = pagemap;
	w->found.list.count = w->next = 0;
	w->from = w->to = start;
	arg.max_pages = LOOK_AHEAD;
	r = scan_once(pagemap, &arg, add_pages, &w->found);
	if (r == -EINVAL) {
		arg = private_pages(start, end, NOT_PRIVATE);
		arg.max_pages = LOOK_AHEAD;
		r = scan_once(pagemap, &arg, add_pages, &w->found);
	}
	if (r == 0)
		w->to = arg.walk_end;
	return r;
}

/* What was found of [start, end). */
static int take_found(struct page_walk *w, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	const struct page_range *found = w->found.list.items;
	int r = 0;

	/* Whoever begins anew, too. */
	if (w->next && found[w->next - 1].end > start)
		w->next = 0;
	while (w->next < w->found.list.count && found[w->next].end <= start)
		w->next++;
	for (size_t i = w->next; i < w->found.list.count && found[i].start < end && r == 0; i++)
		r = pagemap_add(ret, found[i].start > start ? found[i].start : start,
				found[i].end < end ? found[i].end : end);
	return r;
}

int pagemap_walk(struct page_walk *w, int pagemap, uint64_t start, uint64_t end,
		 struct page_ranges *ret)
{
	while (start < end) {
		uint64_t until;
		int r = 0;

		if (pagemap != w->pagemap || start < w->from || start >= w->to)
			r = walk_on(w, pagemap, start);
		/* Where it cannot be told ahead it may be told one by one. */
		if (r < 0 || w->to <= start)
			return pagemap_private(pagemap, start, end, ret);
		until = end < w->to ? end : w->to;
		r = take_found(w, start, until, ret);
		if (r < 0)
			return r;
		start = until;
	}
	return 0;
}

static int add_kinds(const struct scan_region *r, void *to)
{
	struct page_kinds *kinds = to;
	int done = r->categories & SCAN_GUARD ? pagemap_add(&kinds->guards, r->start, r->end) : 0;

	if (done == 0 && (r->categories & SCAN_HUGE))
		done = pagemap_add(&kinds->huge, r->start, r->end);
	return done;
}

static int scan_kinds(int pagemap, uint64_t start, uint64_t end, uint64_t categories,
		      struct page_kinds *ret)
{
	struct scan_arg arg = {
		.start = start,
		.end = end,
		.category_anyof_mask = categories,
		.return_mask = categories,
	};

	return scan(pagemap, &arg, add_kinds, ret);
}

int pagemap_kinds(int pagemap, uint64_t start, uint64_t end, struct page_kinds *ret)
{
	int r = scan_kinds(pagemap, start, end, SCAN_GUARD | SCAN_HUGE, ret);

	if (r == -EINVAL)
		r = scan_kinds(pagemap, start, end, SCAN_HUGE, ret);
	return r == -ENOTTY || r == -EINVAL ? 0 : r;
}

static int scan_written(int pagemap, uint64_t start, uint64_t end, uint64_t flags,
			struct page_ranges *ret)
{
	struct scan_arg arg = {
		.flags = SCAN_CHECK_WATCHED | flags,
		.start = start,
		.end = end,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};

	return scan(pagemap, &arg, add_pages, ret);
}

int pagemap_written(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	return scan_written(pagemap, start, end, 0, ret);
}

int pagemap_take_written(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret)
{
	return scan_written(pagemap, start, end, SCAN_PROTECT, ret);
}

int pagemap_protect(int pagemap, uint64_t start, uint64_t end)
{
	struct scan_arg arg = {
		.size = sizeof arg,
		.flags = SCAN_PROTECT | SCAN_CHECK_WATCHED,
		.start = start,
		.end = end,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};

	while (arg.start < end) {
		if (ioctl(pagemap, SCAN, &arg) < 0)
			return -errno;
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return 0;
}

int pagemap_read(int pagemap, uint64_t start, size_t pages, uint64_t *ret)
{
	size_t size = pages * sizeof *ret;
	ssize_t n = fd_pread(pagemap, ret, size, start / ARCH_PAGE_SIZE * sizeof *ret);

	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EIO;
}

bool pagemap_is_own(uint64_t entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_FILE)) == ENTRY_PRESENT;
}

bool pagemap_is_there(uint64_t entry)
{
	return entry & (ENTRY_PRESENT | ENTRY_SWAPPED);
}

bool pagemap_is_shared(uint64_t entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_FILE | ENTRY_EXCLUSIVE)) == ENTRY_PRESENT;
}

bool pagemap_is_soft_dirty(uint64_t entry)
{
	return entry & ENTRY_SOFT_DIRTY;
}

uint64_t pagemap_frame(uint64_t entry)
{
	return entry & ENTRY_PRESENT ? entry & ENTRY_FRAME : 0;
}

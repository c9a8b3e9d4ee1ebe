#include "engine/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"

#define CHUNK ((size_t)256 << 10)
#define SMALL_CONTENTS (UINT64_C(8) << 20)
#define NEAR_MAX (UINT64_C(4) << 20)
#define HUGE_PAGE ((size_t)2 << 20)

static int open_spool(struct spool *s)
{
	if (s->fd < 0)
		s->fd = memfd_create("stasis-spool", MFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

int spool_open_beside(struct spool *s, const char *image)
{
	const char *slash = strcmp(image, "-") == 0 ? NULL : strrchr(image, '/');
	cleanup_free char *folder = slash ? strndup(image, (size_t)(slash - image) + 1)
					  : strdup(".");
	int r = 0;

	if (s->fd >= 0)
		return 0;
	s->fd = folder ? open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) : -1;
	if (s->fd < 0)
		r = -errno;
	return r < 0 && open_spool(s) < 0 ? -ENOMEM : r;
}

void spool_expect(struct spool *s, uint64_t bytes)
{
	/* One huge page takes less time to get than a quarter of it in small ones. */
	bool huge = bytes >= HUGE_PAGE / 4;
	uint64_t unit = huge ? HUGE_PAGE : ARCH_PAGE_SIZE;

	if (s->near || s->fd >= 0 || bytes == 0)
		return;
	bytes = (bytes + unit - 1) / unit * unit;
	s->near_size = bytes < NEAR_MAX ? bytes : NEAR_MAX;
	s->near = aligned_alloc(unit, s->near_size);
	if (!s->near)
		s->near_size = 0;
	else if (huge)
		madvise(s->near, s->near_size, MADV_HUGEPAGE);
}

static bool fits_near(const struct spool *s, struct page_range range)
{
	return range.end - range.start <= s->near_size - s->near_used;
}

static int add_near(struct spool *s, struct page_range range, spool_read_fn *read,
		    const void *source, struct spooled *ret)
{
	size_t size = range.end - range.start;

	*ret = (struct spooled){range.start, range.end, s->near_used, true};
	s->near_used += size;
	return read(source, range.start, s->near + ret->at, size);
}

/* Pages that stand alone are read one by one, and written many at a time. */
struct gathering {
	struct spool *spool;
	size_t used;
	char bytes[CHUNK];
};

static int write_gathered(struct gathering *g)
{
	int r = g->used ? fd_pwrite(g->spool->fd, g->bytes, g->used, g->spool->used) : 0;

	g->spool->used += g->used;
	g->used = 0;
	return r;
}

static int gather(struct gathering *g, struct page_range range, spool_read_fn *read,
		  const void *source)
{
	int r = 0;

	while (range.start < range.end && r == 0) {
		size_t size = range.end - range.start, room = CHUNK - g->used;

		if (size > room)
			size = room;
		r = read(source, range.start, g->bytes + g->used, size);
		range.start += size;
		g->used += size;
		if (r == 0 && g->used == CHUNK)
			r = write_gathered(g);
	}
	return r;
}

static int add_far(struct spool *s, struct gathering **g, struct page_range range,
		   spool_read_fn *read, const void *source, struct spooled *ret)
{
	int r = open_spool(s);

	if (r < 0)
		return r;
	if (!*g) {
		*g = malloc(sizeof **g);
		if (!*g)
			return -ENOMEM;
		(*g)->spool = s;
		(*g)->used = 0;
	}
	*ret = (struct spooled){range.start, range.end, s->used + (*g)->used, false};
	return gather(*g, range, read, source);
}

int spool_add(struct spool *s, struct spooled_list *list, const struct page_ranges *ranges,
	      spool_read_fn *read, const void *source)
{
	struct gathering *g = NULL;
	int r = 0;

	for (size_t i = 0; i < ranges->list.count && r == 0; i++) {
		struct page_range range = ranges->list.items[i];
		struct spooled *new = vec_push(&list->list);

		if (!new)
			r = -ENOMEM;
		else if (fits_near(s, range))
			r = add_near(s, range, read, source, new);
		else
			r = add_far(s, &g, range, read, source, new);
	}
	if (r == 0 && g)
		r = write_gathered(g);
	free(g);
	return r;
}

size_t spool_find(const struct spooled_list *list, uint64_t address)
{
	size_t lo = 0, hi = list->list.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (list->list.items[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

unsigned char *spool_near(const struct spool *s, const struct spooled_list *list,
			  uint64_t start, uint64_t end)
{
	size_t i = spool_find(list, start);
	const struct spooled *it = i < list->list.count ? &list->list.items[i] : NULL;

	return it && it->near && it->start <= start && end <= it->end
		       ? s->near + it->at + (start - it->start)
		       : NULL;
}

static int read_one(const struct spool *s, const struct spooled *it, uint64_t address, void *buf,
		    size_t size)
{
	uint64_t at = it->at + (address - it->start);
	ssize_t n;

	if (it->near) {
		memcpy(buf, s->near + at, size);
		return 0;
	}
	n = fd_pread(s->fd, buf, size, at);
	return n == (ssize_t)size ? 0 : n < 0 ? (int)n : -EIO;
}

int spool_read(const struct spool *s, const struct spooled_list *list, uint64_t address, void *buf,
	       size_t size)
{
	for (size_t i = spool_find(list, address); size && i < list->list.count; i++) {
		const struct spooled *it = &list->list.items[i];
		uint64_t end = address + size < it->end ? address + size : it->end;
		int r;

		if (address < it->start)
			break;
		r = read_one(s, it, address, buf, end - address);
		if (r < 0)
			return r;
		buf = (char *)buf + (end - address);
		size -= end - address;
		address = end;
	}
	return size ? -EFAULT : 0;
}

int spool_ranges(const struct spooled_list *list, uint64_t start, uint64_t end,
		 struct page_ranges *ret)
{
	for (size_t i = spool_find(list, start); i < list->list.count; i++) {
		const struct spooled *it = &list->list.items[i];
		struct page_range *range;

		if (it->start >= end)
			break;
		range = vec_push(&ret->list);
		if (!range)
			return -ENOMEM;
		range->start = it->start > start ? it->start : start;
		range->end = it->end < end ? it->end : end;
	}
	return 0;
}

static int read_all(int fd, uint64_t offset, void *buf, size_t size)
{
	ssize_t n = fd_pread(fd, buf, size, offset);

	if (n < 0)
		return (int)n;
	/* The last page of a file ends where the file does. */
	memset((char *)buf + n, 0, size - (size_t)n);
	return 0;
}

static int copy_content(struct spool *s, struct content *c, void *buf)
{
	uint64_t begin = s->used;
	int own, r = 0;

	for (uint64_t at = 0; at < c->length && r == 0;) {
		size_t size = c->length - at < CHUNK ? c->length - at : CHUNK;

		r = read_all(c->fd, c->offset + c->shift + at, buf, size);
		if (r == 0)
			r = fd_pwrite(s->fd, buf, size, begin + at);
		at += size;
	}
	own = r < 0 ? -1 : fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return r < 0 ? r : -errno;
	s->used += c->length;
	close_fdp(&c->fd);
	c->fd = own;
	c->shift = begin - c->offset;
	return 0;
}

bool spool_contents(struct spool *s, struct capture *c)
{
	cleanup_free char *buf = NULL;
	uint64_t size = 0;

	vec_each(it, &c->contents)
		size += it->length;
	if (size > SMALL_CONTENTS)
		return false;
	if (size == 0)
		return true;
	buf = malloc(CHUNK);
	if (!buf || open_spool(s) < 0)
		return false;
	vec_each(it, &c->contents)
		if (copy_content(s, it, buf) < 0)
			return false;
	return true;
}

void spool_close(struct spool *s)
{
	close_fdp(&s->fd);
	free(s->near);
	*s = SPOOL_NONE;
}

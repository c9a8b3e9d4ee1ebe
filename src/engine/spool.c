#include "engine/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/str.h"

#define CHUNK ((size_t)256 << 10)
#define SMALL_CONTENTS (UINT64_C(8) << 20)

static int open_spool(struct spool *s)
{
	if (s->fd < 0)
		s->fd = memfd_create("stasis-spool", MFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

int spool_add(struct spool *s, struct spooled_list *list, struct page_range range,
	      spool_read_fn *read, const void *source)
{
	cleanup_free char *buf = malloc(CHUNK);
	struct spooled *new = buf ? vec_push(&list->list) : NULL;
	int r = new ? open_spool(s) : -ENOMEM;

	if (r < 0)
		return r;
	*new = (struct spooled){range.start, range.end, s->used};
	for (uint64_t at = range.start; at < range.end && r == 0;) {
		size_t size = range.end - at < CHUNK ? range.end - at : CHUNK;

		r = read(source, at, buf, size);
		if (r == 0)
			r = fd_pwrite(s->fd, buf, size, s->used);
		at += size;
		s->used += size;
	}
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

int spool_read(const struct spool *s, const struct spooled_list *list, uint64_t address, void *buf,
	       size_t size)
{
	for (size_t i = spool_find(list, address); size && i < list->list.count; i++) {
		const struct spooled *it = &list->list.items[i];
		uint64_t end = address + size < it->end ? address + size : it->end;
		ssize_t n;

		if (address < it->start)
			break;
		n = fd_pread(s->fd, buf, end - address, it->at + (address - it->start));
		if (n != (ssize_t)(end - address))
			return n < 0 ? (int)n : -EIO;
		buf = (char *)buf + n;
		size -= (size_t)n;
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
	s->used = 0;
}

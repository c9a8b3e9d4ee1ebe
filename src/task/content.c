/*
 * Finds the data of a file that the target has open, so that holes cost nothing.
 *
 * SEEK_DATA moves the position, and the descriptor at hand is a duplicate: its
 * position is the target's own.  Moving it and putting it back would harm the
 * target if the tool died in between.  So the inode is opened a second time,
 * for reading only, through our own duplicate: that asks the file's mode
 * again and gives nothing that its owner could not open himself.  Where this
 * is not permitted, or would disturb the target, the whole file is read
 * through the duplicate by pread(2), which knows no position, and pages of
 * zeros count as holes.
 */
#include "task/content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define PAGE UINT64_C(4096)
#define CHUNK     (UINT64_C(1) << 20)

/* Each range holds a descriptor: above this number, those with the smallest gaps become one. */
#define RANGES_MAX 4096

struct range {
	uint64_t start, end;
};

struct ranges {
	VEC(struct range) list;
	uint64_t gap; /* ranges that are no farther apart are one */
};

static uint64_t round_down(uint64_t n)
{
	return n & ~(PAGE - 1);
}

static uint64_t round_up(uint64_t n)
{
	return round_down(n + PAGE - 1);
}

/* Makes half of them or fewer, at the price of some holes that are read as zeros. */
static void ranges_thin(struct ranges *r)
{
	while (r->list.count > RANGES_MAX / 2) {
		size_t kept = 1;

		r->gap = r->gap ? r->gap * 2 : PAGE;
		for (size_t i = 1; i < r->list.count; i++) {
			struct range *last = &r->list.items[kept - 1];

			if (r->list.items[i].start - last->end <= r->gap)
				last->end = r->list.items[i].end;
			else
				r->list.items[kept++] = r->list.items[i];
		}
		r->list.count = kept;
	}
}

static int ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
	struct range *last = r->list.count ? &r->list.items[r->list.count - 1] : NULL;

	start = round_down(start);
	end = round_up(end);
	if (last && start <= last->end + r->gap) {
		last->end = end;
		return 0;
	}
	if (r->list.count >= RANGES_MAX)
		ranges_thin(r);
	last = vec_push(&r->list);
	if (!last)
		return -ENOMEM;
	*last = (struct range){start, end};
	return 0;
}

/* A file system without SEEK_DATA says that all is data, or EINVAL. */
static int find_by_seek(int fd, uint64_t size, struct ranges *r)
{
	for (uint64_t at = 0; at < size;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole;
		int n;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data < 0)
			return errno == EINVAL ? ranges_add(r, at, size) : -errno;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if ((uint64_t)data >= size)
			return 0;
		at = (uint64_t)hole < size ? (uint64_t)hole : size;
		n = ranges_add(r, (uint64_t)data, at);
		if (n < 0)
			return n;
	}
	return 0;
}

static bool is_zero(const unsigned char *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static int find_by_reading(int fd, uint64_t size, struct ranges *r)
{
	cleanup_free char *buf = malloc(CHUNK);

	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += CHUNK) {
		uint64_t want = size - at < CHUNK ? size - at : CHUNK;
		ssize_t got = fd_pread(fd, buf, want, at);

		if (got < 0)
			return (int)got;
		for (uint64_t i = 0; i < (uint64_t)got; i += PAGE) {
			uint64_t len = (uint64_t)got - i < PAGE ? (uint64_t)got - i : PAGE;
			int n = 0;

			if (!is_zero((unsigned char *)buf + i, len))
				n = ranges_add(r, at + i, at + i + len);
			if (n < 0)
				return n;
		}
		if ((uint64_t)got < want)
			break;
	}
	return 0;
}

/* Huge pages: the file system calls all of it data, though reading a hole costs nothing. */
static bool knows_holes(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC;
}

/* A second description, or -1 where it is better not to try. */
static int open_second(int fd)
{
	cleanup_free char *link = str_format("/proc/self/fd/%d", fd);
	int lease = fcntl(fd, F_GETLEASE), own;

	/*
	 * Opening it would break a lease, and the target would get a signal.  The
	 * holder of a write lease is the only one who has the file open,
	 * and read leases do not mind another reader.
	 */
	if (!link || lease == F_WRLCK)
		return -1;
	own = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOATIME);
	if (own < 0 && errno == EPERM) /* O_NOATIME is for the owner */
		own = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return own;
}

static int add_contents(struct capture *c, uint32_t object, int fd, const struct ranges *r)
{
	vec_each(it, &r->list) {
		struct content *content;
		int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

		if (own < 0)
			return -errno;
		content = vec_push(&c->contents);
		if (!content) {
			close(own);
			return -ENOMEM;
		}
		*content = (struct content){object, own, it->start, it->end - it->start, 0};
	}
	return 0;
}

int capture_content(struct capture *c, uint32_t object, int fd, uint64_t size, struct error **err)
{
	cleanup_close int second = open_second(fd);
	struct ranges ranges = {0};
	int r;

	if (size > CONTENT_SIZE_MAX)
		return fail(err, EFBIG, "a file of %llu bytes is too large",
			    (unsigned long long)size);
	if (second >= 0)
		fd = second;
	if (second >= 0 && knows_holes(fd))
		r = find_by_seek(fd, size, &ranges);
	else
		r = find_by_reading(fd, size, &ranges);
	if (r == 0)
		r = add_contents(c, object, fd, &ranges);
	vec_free(&ranges.list);
	if (r == -EBADF) /* write-only, and its mode forbids reading */
		return refuse(err, EACCES, "let its owner read it: chmod u+r /proc/PID/fd/NUMBER",
			      "its content cannot be read");
	return r < 0 ? fail_errno(err, -r, "its content cannot be read") : 0;
}

int content_ranges(const struct capture *c, uint32_t object, size_t *ret_count,
		   Rec__Range ***ret_ranges)
{
	Rec__Range **ranges;
	size_t count = 0;

	vec_each(it, &c->contents)
		count += it->object == object;
	ranges = calloc(count + 1, sizeof *ranges);
	if (!ranges)
		return -ENOMEM;
	/* Set before it is filled: who frees the record frees what is there. */
	*ret_ranges = ranges;
	*ret_count = 0;
	vec_each(it, &c->contents) {
		Rec__Range *range;

		if (it->object != object)
			continue;
		range = malloc(sizeof *range);
		if (!range)
			return -ENOMEM;
		rec__range__init(range);
		range->start = it->offset;
		range->end = it->offset + it->length;
		ranges[(*ret_count)++] = range;
	}
	return 0;
}

bool content_ranges_valid(size_t count, Rec__Range *const *ranges, uint64_t size)
{
	uint64_t at = 0;

	if (size > CONTENT_SIZE_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const Rec__Range *it = ranges[i];

		if (it->start < at || it->end <= it->start || it->end > round_up(size) ||
		    it->start % PAGE || it->end % PAGE)
			return false;
		at = it->end;
	}
	return true;
}

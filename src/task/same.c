/* Telling open file descriptions apart: kcmp(2) puts those of all tasks, and our own, in one order. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/capture.h"

struct file *capture_add_file(struct capture *c, struct task *task)
{
	struct file *f = calloc(1, sizeof *f), **slot;

	slot = f ? vec_push(&c->files.files) : NULL;
	if (!slot) {
		free(f);
		return NULL;
	}
	*f = (struct file){.id = ++c->files.last_id, .task = task, .fd = -1, .own = -1};
	*slot = f;
	return f;
}

static pid_t self(struct capture *c)
{
	if (!c->self)
		c->self = getpid();
	return c->self;
}

/* Less than 0, 0 or more than 0, as f comes before (pid, fd), is the same, or comes behind. */
static int compare(struct capture *c, const struct file *f, pid_t pid, int fd)
{
	switch (syscall(SYS_kcmp, self(c), pid, KCMP_FILE, f->own, fd)) {
	case 0:
		return 0;
	case 1:
		return -1;
	default:
		return 1;
	}
}

/*
 * What stays as it is as long as a description exists, mixed so that the order of numbers is
 * none of the results: only descriptions that have it in common are compared by the kernel.
 */
static uint64_t lasting(const struct fdinfo *info)
{
	uint64_t x = info->ino ^ (uint64_t)(uint32_t)info->mnt_id << 40 ^
		     (uint64_t)(uint32_t)info->eventfd_id << 16;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void capture_place_description(struct file *f, struct file **at)
{
	f->described = true;
	f->lasting = lasting(&f->info);
	*at = f;
}

/* Addresses, which the kernel has mixed up as well: so the tree needs no balancing. */
struct file *capture_find_description(struct capture *c, pid_t pid, int fd,
				      const struct fdinfo *info, struct file ***ret_at)
{
	struct file **at = &c->by_description;
	uint64_t wanted = lasting(info);

	while (*at) {
		uint64_t has = (*at)->lasting;
		int order = has < wanted ? -1 : has > wanted ? 1 : compare(c, *at, pid, fd);

		if (order == 0)
			return *at;
		at = order < 0 ? &(*at)->behind : &(*at)->before;
	}
	*ret_at = at;
	return NULL;
}

static int compare_own(const void *x, const void *y, void *arg)
{
	struct file *const *a = x, *const *b = y;

	return compare(arg, *a, self(arg), (*b)->own);
}

static int sort_descriptions(struct capture *c)
{
	c->by_kcmp.count = 0;
	vec_each(f, &c->files.files) {
		struct file **slot = (*f)->described && (*f)->own >= 0 ? vec_push(&c->by_kcmp) : NULL;

		if (slot)
			*slot = *f;
		else if ((*f)->described && (*f)->own >= 0)
			return -ENOMEM;
	}
	if (c->by_kcmp.count)
		qsort_r(c->by_kcmp.items, c->by_kcmp.count, sizeof(struct file *), compare_own, c);
	c->sorted_files = c->files.files.count;
	return 0;
}

struct file *const *capture_descriptions(struct capture *c, size_t *ret_count)
{
	if (c->sorted_files != c->files.files.count && sort_descriptions(c) < 0)
		return NULL;
	*ret_count = c->by_kcmp.count;
	return c->by_kcmp.items;
}

/* The kernel marks what has no name any more. */
void file_take_link(struct file *f, char *link)
{
	f->link = link;
	f->deleted = link && str_ends(link, " (deleted)");
	if (f->deleted)
		link[strlen(link) - strlen(" (deleted)")] = '\0';
}

static char *read_own_link(int fd)
{
	cleanup_free char *path = str_format("/proc/self/fd/%d", fd);
	size_t room = 64 * 1024;
	char *link = path ? calloc(1, room) : NULL;

	if (link && readlink(path, link, room - 1) >= 0)
		return link;
	free(link);
	return NULL;
}

static int read_own_fdinfo(int fd, struct fdinfo *ret)
{
	cleanup_free char *path = str_format("/proc/self/fdinfo/%d", fd);
	cleanup_free char *text = NULL;
	ssize_t n = path ? fd_slurp(AT_FDCWD, path, &text) : -ENOMEM;

	return n < 0 ? (int)n : fdinfo_parse(text, (size_t)n, ret);
}

struct file *capture_description(struct capture *c, struct task *task, int fd, struct error **err)
{
	struct fdinfo info cleanup_fdinfo = {0};
	cleanup_close int owned = fd;
	struct file *f, **at;

	if (read_own_fdinfo(fd, &info) < 0) {
		fail_errno(err, errno, "cannot look at a description that is under way");
		return NULL;
	}
	f = capture_find_description(c, self(c), fd, &info, &at);
	if (f)
		return f;
	f = capture_add_file(c, task);
	if (!f) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	f->own = fd_steal(&owned);
	f->info = info;
	info = (struct fdinfo){0};
	f->flags = (int)(f->info.flags & ~(unsigned int)O_CLOEXEC);
	capture_place_description(f, at);
	file_take_link(f, read_own_link(f->own));
	if (!f->link || fstat(f->own, &f->st) < 0) {
		fail_errno(err, errno, "cannot look at a description that is under way");
		return NULL;
	}
	return f;
}

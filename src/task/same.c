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

/* Less than 0, 0 or more than 0, as f comes before (pid, fd), is the same, or comes behind. */
static int compare(const struct file *f, pid_t pid, int fd)
{
	switch (syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, f->own, fd)) {
	case 0:
		return 0;
	case 1:
		return -1;
	default:
		return 1;
	}
}

struct file *capture_find_description(const struct capture *c, pid_t pid, int fd, size_t *ret_at)
{
	size_t lo = 0, hi = c->by_description.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = compare(c->by_description.items[mid], pid, fd);

		if (order == 0)
			return c->by_description.items[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_at = lo;
	return NULL;
}

int capture_place_description(struct capture *c, size_t at, struct file *f)
{
	if (!vec_push(&c->by_description))
		return -ENOMEM;
	memmove(&c->by_description.items[at + 1], &c->by_description.items[at],
		(c->by_description.count - 1 - at) * sizeof(struct file *));
	c->by_description.items[at] = f;
	return 0;
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
	cleanup_close int owned = fd;
	size_t at = 0;
	struct file *f = capture_find_description(c, getpid(), fd, &at);

	if (f)
		return f;
	f = capture_add_file(c, task);
	if (!f || capture_place_description(c, at, f) < 0) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	f->own = fd_steal(&owned);
	file_take_link(f, read_own_link(f->own));
	if (!f->link || fstat(f->own, &f->st) < 0 || read_own_fdinfo(f->own, &f->info) < 0) {
		fail_errno(err, errno, "cannot look at a description that is under way");
		return NULL;
	}
	f->flags = (int)(f->info.flags & ~(unsigned int)O_CLOEXEC);
	return f;
}

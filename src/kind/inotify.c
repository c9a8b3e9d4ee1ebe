/*
 * inotify(7).
 *
 * The task adds its watches again by path, under the same watch descriptors; it does so
 * as late as possible, so that it hears little of the restore itself.  Events
 * that wait unread cannot be put back, so there must be none.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task/description.h"
#include "task/watched.h"

#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)
#endif

/* What a program can ask for and the kernel keeps; older ones show bits of their own as well. */
#define WATCH_MASK ((uint32_t)(IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK))

/* What one batch can add: calls, and bytes of paths. */
#define CALLS_MAX (BATCH_ENTRIES - 64)
#define PATHS_MAX (256u * 1024u)

extern const struct kind kind_inotify;

static bool inotify_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:inotify");
}

static int compare_watches(const void *a, const void *b)
{
	const Rec__InotifyWatch *x = *(Rec__InotifyWatch *const *)a;
	const Rec__InotifyWatch *y = *(Rec__InotifyWatch *const *)b;

	return x->wd < y->wd ? -1 : x->wd > y->wd;
}

static int capture_watch(struct capture *c, const struct file *f, const struct fd_inotify_watch *w,
			 Rec__Inotify *m, struct error **err)
{
	char *path = watched_path(c, f->task, w);
	Rec__InotifyWatch *watch;

	if (!path)
		return refuse(err, ENOENT, NULL,
			      "watch %d of descriptor %d (inotify): the path of what it watches "
			      "(inode %llu of device %u:%u) could not be found", w->wd, f->fd,
			      (unsigned long long)w->inode, w->dev_major, w->dev_minor);
	watch = malloc(sizeof *watch);
	if (!watch) {
		free(path);
		return fail(err, ENOMEM, "out of memory");
	}
	rec__inotify_watch__init(watch);
	watch->wd = (uint32_t)w->wd;
	watch->mask = w->mask & WATCH_MASK;
	watch->path = path;
	m->watches[m->n_watches++] = watch;
	return 0;
}

/* The number after the last watch's is next; any other must be asked for. */
static bool fits(const Rec__Inotify *m)
{
	size_t calls = 0, bytes = 0;
	uint32_t next = 1;

	for (size_t i = 0; i < m->n_watches; i++) {
		const Rec__InotifyWatch *w = m->watches[i];

		calls += w->wd == next ? 1 : 2;
		bytes += strlen(w->path) + 16; /* each is aligned */
		next = w->wd + 1;
	}
	return calls <= CALLS_MAX && bytes <= PATHS_MAX;
}

static int capture_watches(struct capture *c, const struct file *f, Rec__Inotify *m,
			   struct error **err)
{
	int waiting = 0, r = 0;

	if (ioctl(f->own, FIONREAD, &waiting) == 0 && waiting > 0)
		r = refuse(err, EBUSY, "try again when the program has read them",
			   "descriptor %d (inotify) has events that the program has not read yet",
			   f->fd);
	m->watches = calloc(f->info.inotify.count + 1, sizeof *m->watches);
	if (!m->watches)
		return fail(err, ENOMEM, "out of memory");
	vec_each(w, &f->info.inotify) {
		int k = capture_watch(c, f, w, m, err);

		if (r == 0)
			r = k;
	}
	if (m->n_watches)
		qsort(m->watches, m->n_watches, sizeof *m->watches, compare_watches);
	if (!fits(m))
		r = refuse(err, E2BIG, NULL,
			   "descriptor %d (inotify) has %zu watches, which are too many", f->fd,
			   m->n_watches);
	return r;
}

static int inotify_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	Rec__Inotify *m = kind_message(&kind_inotify);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	r = capture_watches(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

static int inotify_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Inotify *m = (const Rec__Inotify *)message;
	uint32_t last = 0;

	for (size_t i = 0; i < m->n_watches; i++) {
		const Rec__InotifyWatch *w = m->watches[i];

		if (w->wd <= last || w->wd > INT_MAX)
			return fail(err, EINVAL, "an inotify whose watches are not in order");
		if (w->path[0] != '/' || !(w->mask & IN_ALL_EVENTS) || (w->mask & ~WATCH_MASK))
			return fail(err, EINVAL, "an inotify with an impossible watch");
		last = w->wd;
	}
	return fits(m) ? 0 : fail(err, EINVAL, "an inotify with too many watches");
}

/* Two paths that have become one file would give one watch for both. */
static bool is_double(const Rec__Inotify *m, size_t i, const struct stat *st)
{
	struct stat other;

	for (size_t j = 0; j < i; j++)
		if (lstat(m->watches[j]->path, &other) == 0 && other.st_ino == st->st_ino &&
		    other.st_dev == st->st_dev)
			return true;
	return false;
}

static int inotify_check(const struct rebuild *r, const ProtobufCMessage *message,
			 struct error **err)
{
	const Rec__Inotify *m = (const Rec__Inotify *)message;
	int first = 0;

	(void)r;
	for (size_t i = 0; i < m->n_watches; i++) {
		const char *path = m->watches[i]->path;
		struct stat st;
		int k = 0;

		if (lstat(path, &st) < 0)
			k = refuse(err, errno, "put it back",
				   "%s, which the program watches (inotify): %s", path,
				   strerror(errno));
		else if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0)
			k = refuse(err, errno, NULL,
				   "%s, which the program watches (inotify), may not be read", path);
		else if (is_double(m, i, &st))
			k = refuse(err, EEXIST, NULL,
				   "%s, which the program watches (inotify), is now the same file as "
				   "another that it watches", path);
		if (first == 0)
			first = k;
	}
	return first;
}

static int inotify_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Inotify *m = (const Rec__Inotify *)f->message;

	(void)r;
	f->fd = inotify_init1(IN_CLOEXEC);
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make an inotify");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

static int inotify_settle(struct rebuild *r, struct rebuilt_task *t,
			  const ProtobufCMessage *message, int fd, struct batch *b,
			  struct error **err)
{
	const Rec__Inotify *m = (const Rec__Inotify *)message;
	uint32_t next = 1;

	(void)r;
	(void)t;
	(void)err;
	for (size_t i = 0; i < m->n_watches; i++) {
		const Rec__InotifyWatch *w = m->watches[i];

		if (w->wd != next)
			batch_call(b, 0, SYS_ioctl, (uint64_t)fd, INOTIFY_IOC_SETNEXTWD, w->wd);
		batch_call(b, 0, SYS_inotify_add_watch, (uint64_t)fd, batch_put_string(b, w->path),
			   w->mask | IN_DONT_FOLLOW);
		next = w->wd + 1;
	}
	return 0;
}

const struct kind kind_inotify = {
	.name = "inotify",
	.tag = 138,
	.schema = &rec__inotify__descriptor,
	.file = &(const struct file_ops){
		.claims = inotify_claims,
		.capture = inotify_capture,
		.validate = inotify_validate,
		.check = inotify_check,
		.open = inotify_open,
		.settle = inotify_settle,
		.settles_last = true,
	},
};

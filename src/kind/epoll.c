/*
 * epoll(7).
 *
 * What it watches is a pair: an open file description, and the number that it
 * had when it was added.  The task adds them again itself, when all its descriptors have
 * their numbers: so a signalfd among them watches the right process.
 *
 * Whatever is ready is reported anew, also to EPOLLET watches, whose users must
 * expect that.  An EPOLLONESHOT watch that has fired stays silent, but for errors and
 * hangups, which EPOLL_CTL_ADD always includes.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task/description.h"

/* What one batch can add. */
#define ITEMS_MAX (BATCH_ENTRIES - 64)

extern const struct kind kind_epoll;

static bool epoll_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:[eventpoll]");
}

/* The number that it was added with still shows what it showed then. */
static bool is_current(const struct capture *c, const struct file *f,
		       const struct fd_epoll_watch *w)
{
	struct kcmp_epoll_slot slot = {(uint32_t)f->fd, (uint32_t)w->fd, 0};
	pid_t pid = f->task->pid;
	long r;

	if (!file_by_fd(&c->files, f->task, w->fd))
		return false;
	/* 0: the same; 1 to 3: another; -1: there is none. */
	r = syscall(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, w->fd, &slot);
	return r == 0;
}

static bool is_double(const struct file *f, const struct fd_epoll_watch *w)
{
	for (const struct fd_epoll_watch *it = f->info.epoll.items; it < w; it++)
		if (it->fd == w->fd)
			return true;
	return false;
}

static int capture_items(const struct capture *c, const struct file *f, Rec__Epoll *m,
			 struct error **err)
{
	int r = 0;

	if (f->info.epoll.count > ITEMS_MAX)
		return refuse(err, E2BIG, NULL,
			      "descriptor %d is an epoll that watches %zu files, and %u are supported",
			      f->fd, f->info.epoll.count, ITEMS_MAX);
	m->items = calloc(f->info.epoll.count + 1, sizeof *m->items);
	if (!m->items)
		return fail(err, ENOMEM, "out of memory");
	vec_each(w, &f->info.epoll) {
		Rec__EpollItem *item;

		if (is_double(f, w) || !is_current(c, f, w)) {
			r = refuse(err, ENOTSUP, NULL,
				   "descriptor %d is an epoll that watches a file by the number %d, "
				   "which means something else by now", f->fd, w->fd);
			continue;
		}
		item = malloc(sizeof *item);
		if (!item)
			return fail(err, ENOMEM, "out of memory");
		rec__epoll_item__init(item);
		item->fd = (uint32_t)w->fd;
		item->events = w->events;
		item->data = w->data;
		m->items[m->n_items++] = item;
	}
	return r;
}

static int epoll_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			 struct error **err)
{
	Rec__Epoll *m = kind_message(&kind_epoll);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	r = capture_items(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

static int epoll_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)message;

	if (m->n_items > ITEMS_MAX)
		return fail(err, EINVAL, "an epoll with %zu watches", m->n_items);
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i]->fd > INT32_MAX)
			return fail(err, EINVAL, "an epoll with an impossible number");
	return 0;
}

static int epoll_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)f->message;

	(void)r;
	f->fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make an epoll");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

static int epoll_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *message,
			int fd, struct batch *b, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)message;
	size_t size = m->n_items * sizeof(struct epoll_event);
	struct epoll_event *events;
	uint64_t address;

	address = batch_space(b, size);
	events = batch_at(b, address);
	for (size_t i = 0; i < m->n_items; i++) {
		const Rec__EpollItem *item = m->items[i];
		/* A standard descriptor may be another thing now that cannot be watched: a file. */
		uint32_t flags = item->fd <= 2 ? BATCH_MAY_FAIL : 0;

		if (!rebuilt_slot(r, t, item->fd))
			return fail(err, EINVAL, "an epoll that watches %u, which is not open",
				    item->fd);
		events[i] = (struct epoll_event){.events = item->events, .data.u64 = item->data};
		batch_call(b, flags, SYS_epoll_ctl, (uint64_t)fd, EPOLL_CTL_ADD, item->fd,
			   address + i * sizeof *events);
	}
	return 0;
}

const struct kind kind_epoll = {
	.name = "epoll",
	.tag = 137,
	.schema = &rec__epoll__descriptor,
	.file = &(const struct file_ops){
		.claims = epoll_claims,
		.capture = epoll_capture,
		.validate = epoll_validate,
		.open = epoll_open,
		.settle = epoll_settle,
	},
};

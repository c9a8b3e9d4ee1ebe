/*
 * eventfd(2).
 *
 * Kernels before 6.5 do not tell from outside whether one was made with
 * EFD_SEMAPHORE, and to find out one would have to read it, which changes it.  It
 * is then taken for an ordinary counter, as nearly all are, and the record says so.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "task/description.h"

extern const struct kind kind_eventfd;

static bool eventfd_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:[eventfd]");
}

static int eventfd_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	Rec__EventFd *m;

	(void)c;
	if (!(f->info.lines & FDINFO_EVENTFD))
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is an eventfd, and this kernel does not tell its count",
			      f->fd);
	m = kind_message(&kind_eventfd);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->count = f->info.eventfd_count;
	m->semaphore = f->info.eventfd_semaphore;
	m->semaphore_unknown = !(f->info.lines & FDINFO_EVENTFD_SEMAPHORE);
	*ret = &m->base;
	return 0;
}

static int eventfd_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__EventFd *m = (const Rec__EventFd *)message;

	/* write(2) refuses this number. */
	if (m->count == UINT64_MAX)
		return fail(err, EINVAL, "an eventfd with an impossible count");
	return 0;
}

static int eventfd_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__EventFd *m = (const Rec__EventFd *)f->message;

	(void)r;
	f->fd = eventfd(0, EFD_CLOEXEC | (m->semaphore ? EFD_SEMAPHORE : 0));
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make an eventfd");
	/* eventfd(2) takes a number of 32 bits only. */
	if (m->count && fd_write(f->fd, &m->count, sizeof m->count) < 0)
		return fail(err, EIO, "cannot set the count of an eventfd");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

const struct kind kind_eventfd = {
	.name = "eventfd",
	.tag = 134,
	.schema = &rec__event_fd__descriptor,
	.file = &(const struct file_ops){
		.claims = eventfd_claims,
		.capture = eventfd_capture,
		.validate = eventfd_validate,
		.open = eventfd_open,
	},
};

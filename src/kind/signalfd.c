/* signalfd(2): it is nothing but a set of signals; what it reads belongs to whoever reads. */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task/description.h"

extern const struct kind kind_signalfd;

static bool signalfd_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:[signalfd]");
}

static int signalfd_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			    struct error **err)
{
	Rec__SignalFd *m;

	(void)c;
	if (!(f->info.lines & FDINFO_SIGNALFD))
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a signalfd, and this kernel does not tell its signals",
			      f->fd);
	m = kind_message(&kind_signalfd);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->mask = f->info.sigmask;
	*ret = &m->base;
	return 0;
}

static int signalfd_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__SignalFd *m = (const Rec__SignalFd *)f->message;

	(void)r;
	/* The system call itself: the C library's sigset_t is larger than the kernel's. */
	f->fd = (int)syscall(SYS_signalfd4, -1, &m->mask, sizeof m->mask, SFD_CLOEXEC);
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make a signalfd");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

const struct kind kind_signalfd = {
	.name = "signalfd",
	.tag = 136,
	.schema = &rec__signal_fd__descriptor,
	.file = &(const struct file_ops){
		.claims = signalfd_claims,
		.capture = signalfd_capture,
		.open = signalfd_open,
	},
};

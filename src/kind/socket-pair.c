/*
 * Two Unix sockets that are connected to each other (socketpair(2)), or one whose other
 * end is closed.  What waits to be read from one is written into the other.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

/* ---- Capture ---- */

/* MSG_PEEK shows all that waits in a stream, up to descriptors that travel in it. */
static int peek(const struct file *f, Rec__Socket *m, size_t size, struct error **err)
{
	struct iovec part = {malloc(size), size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int offset = -1;
	socklen_t len = sizeof offset;
	ssize_t n;

	m->content.data = part.iov_base;
	if (!part.iov_base)
		return fail(err, ENOMEM, "out of memory");
	getsockopt(f->own, SOL_SOCKET, SO_PEEK_OFF, &offset, &len);
	n = offset < 0 ? recvmsg(f->own, &message, MSG_PEEK | MSG_DONTWAIT) : -1;
	if (n != (ssize_t)size || (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return refuse(err, EBUSY, "try again when the program has read them",
			      "descriptor %d is a socket of a pair with messages that cannot be saved: "
			      "several packets, or descriptors that are being passed", f->fd);
	m->content.len = size;
	return 0;
}

int pair_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	struct pollfd p = {.fd = f->own};
	int size = 0;

	(void)c;
	m->reset = m->alone && poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
	if (ioctl(f->own, FIONREAD, &size) < 0)
		return fail_errno(err, errno, "descriptor %d: what waits in a socket", f->fd);
	return size > 0 ? peek(f, m, (size_t)size, err) : 0;
}

/* ---- Restore ---- */

static int write_content(int fd, const Rec__Socket *m)
{
	int old = 0, room = INT32_MAX / 2;
	socklen_t len = sizeof old;
	ssize_t n;

	if (!m->content.len)
		return 0;
	/* It was in a buffer whose size may have been another. */
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &old, &len);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	n = send(fd, m->content.data, m->content.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	old /= 2;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &old, sizeof old);
	if (n < 0)
		return -errno;
	return (size_t)n == m->content.len ? 0 : -ENOBUFS;
}

/* The other end goes; with something unread in it, if its reader is to be told of a reset. */
static void close_other(struct rebuilt_shared *s, const Rec__Socket *m)
{
	if (m->reset)
		send(s->fds[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close_fdp(&s->fds[1]);
}

int pair_open(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, m->pair);
	int end = m->file->id == m->pair ? 0 : 1, fd, k;

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	if (s->fds[end] < 0 && s->fds[!end] >= 0)
		return fail(err, EINVAL, "the image has a pair of sockets with three ends");
	if (s->fds[end] < 0 &&
	    socketpair(AF_UNIX, (int)m->type | SOCK_CLOEXEC, (int)m->protocol, s->fds) < 0)
		return fail_errno(err, errno, "cannot make a pair of sockets");
	k = socket_options_set(s->fds[end], m, err);
	if (k < 0)
		return k;
	k = write_content(s->fds[!end], m);
	if (k < 0)
		return fail_errno(err, -k, "cannot fill a pair of sockets");
	fd = fcntl(s->fds[end], F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return fail_errno(err, errno, "cannot open a pair of sockets");
	if (m->alone)
		close_other(s, m);
	return fd;
}

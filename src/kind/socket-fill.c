/*
 * What waited to be read in Unix sockets is sent again, when all files are open: descriptors
 * are on their way with it, of files that may have come later than the socket.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define FILLED UINT64_MAX /* no File has this id: the entry that says that all was written */

/* One message on its way: arguments of call_send(). */
struct parcel {
	const void *data;
	size_t size;
	const ProtobufCBinaryData *to; /* NULL: to whom the socket is connected to */
	int fds[PASSED_MAX];
	size_t passed;
};

static int call_send(int fd, const void *arg)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof((struct parcel *)NULL)->fds)] = {0};
	const struct parcel *p = arg;
	struct iovec part = {(void *)p->data, p->size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *head = (struct cmsghdr *)control;
	ssize_t n;

	if (p->to) {
		message.msg_name = p->to->data;
		message.msg_namelen = (socklen_t)p->to->len;
	}
	if (p->passed) {
		*head = (struct cmsghdr){CMSG_LEN(p->passed * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(head), p->fds, p->passed * sizeof(int));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(p->passed * sizeof(int));
	}
	n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == p->size ? 0 : -ENOBUFS;
}

/* What was in a buffer whose size may have been another. */
static int make_room(int fd)
{
	int old = 0, room = INT32_MAX / 2;
	socklen_t len = sizeof old;

	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &old, &len);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return old / 2;
}

/* Nobody's credentials go with it. */
static int send_parcel(int fd, int reader, const struct parcel *p, const char *directory)
{
	bool from = unix_hush(fd), to = unix_hush(reader);
	int size = make_room(fd), r = unix_in_directory(p->to ? directory : "", fd, p, call_send);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	unix_unhush(fd, from);
	unix_unhush(reader, to);
	return r;
}

/* ---- Who sends ---- */

static const Rec__Socket *owner_of(const struct rebuild *r, const ProtobufCBinaryData *name)
{
	if (name->len)
		vec_each(f, &r->files) {
			const Rec__Socket *m = unix_record(r, f->id);

			if (m && m->type == SOCK_DGRAM && same_address(&m->local, name))
				return m;
		}
	return NULL;
}

/* A relative path is that of a directory that nobody knows: any other one has the name too. */
static int bind_relative(int fd, const ProtobufCBinaryData *name, const char *path)
{
	char directory[] = "/tmp/stasis-XXXXXX";
	cleanup_free char *whole = NULL;
	int r;

	if (!mkdtemp(directory))
		return -errno;
	r = unix_in_directory(directory, fd, name, unix_call_bind);
	whole = str_format("%s/%s", directory, path);
	if (whole)
		unlink(whole);
	rmdir(directory);
	return r;
}

/* A sender that is not in the image any more, for as long as it takes. */
static int stranger(const ProtobufCBinaryData *name, struct error **err)
{
	cleanup_free char *text = socket_address_text(name);
	cleanup_free char *path = unix_path(name);
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return fail_errno(err, errno, "cannot make a socket");
	if (name->len && path && path[0] != '/')
		r = bind_relative(fd, name, path);
	else if (name->len)
		r = bind(fd, (const struct sockaddr *)name->data, (socklen_t)name->len) < 0 ? -errno : 0;
	if (r < 0)
		return fail_errno(err, -r, "cannot send in the name of %s again", text);
	if (path && path[0] == '/')
		unlink(path);
	return fd_steal(&fd);
}

/* The descriptor that reaches the reader without an address, or -1. */
static int connected_sender(struct rebuild *r, const Rec__Socket *reader)
{
	const Rec__Socket *other = unix_other_end(r, reader);

	if (other)
		return rebuilt_file(r, other->file->id)->fd;
	return unix_alone(r, reader)
		       ? rebuilt_share(r, kind_socket.tag, reader->file->id)->fds[1] : -1;
}

static int send_datagram(struct rebuild *r, const Rec__Socket *m, int reader,
			 const ProtobufCBinaryData *sender, struct parcel *p, struct error **err)
{
	const Rec__Socket *owner = owner_of(r, sender);
	cleanup_close int own = owner ? -1 : stranger(sender, err);
	int fd = owner ? rebuilt_file(r, owner->file->id)->fd : own;

	if (fd < 0)
		return fd;
	p->to = m->unlinked ? NULL : &m->local;
	return send_parcel(fd, reader, p, m->directory);
}

/* ---- Filling ---- */

static int collect_passed(const struct rebuild *r, const Rec__SocketMessage *message,
			  struct parcel *p)
{
	for (size_t i = 0; i < message->n_passed && i < PASSED_MAX; i++) {
		const struct rebuilt_file *f = rebuilt_file(r, message->passed[i]);

		if (f && f->replaced)
			f = rebuilt_file(r, f->given);
		if (!f || f->fd < 0)
			return -EBADF;
		p->fds[p->passed++] = f->fd;
	}
	return 0;
}

static int fill_message(struct rebuild *r, const Rec__Socket *m, int reader,
			const Rec__SocketMessage *message, struct error **err)
{
	struct parcel p = {.data = message->data.data, .size = message->data.len};
	int fd = connected_sender(r, m), res = collect_passed(r, message, &p);

	if (res == 0)
		res = fd >= 0 ? send_parcel(fd, reader, &p, "")
			      : send_datagram(r, m, reader, &message->sender, &p, err);
	return res;
}

bool unix_has_writer(const struct rebuild *r, const Rec__Socket *m)
{
	vec_each(f, &r->files) {
		const Rec__Socket *at = unix_record(r, f->id);

		if (at && at->writer && at->written_to == m->file->id)
			return true;
	}
	return false;
}

static int fill_one(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	Rec__SocketMessage whole = REC__SOCKET_MESSAGE__INIT;
	int reader = rebuilt_file(r, m->file->id)->fd, res = 0;

	if (m->content.len) {
		whole.data = m->content;
		res = fill_message(r, m, reader, &whole, err);
	}
	if (m->n_messages && unix_has_writer(r, m))
		return res;
	for (size_t i = 0; i < m->n_messages && res == 0; i++)
		res = fill_message(r, m, reader, m->messages[i], err);
	return res < 0 ? fail_errno(err, -res, "cannot fill a Unix socket") : 0;
}

static int call_unlink(int fd, const void *arg)
{
	(void)fd;
	return unlink(arg) < 0 ? -errno : 0;
}

/* It was connected to a socket that is closed: to one of that name, for a moment. */
static int connect_to_gone(int fd, const Rec__Socket *m, bool remove)
{
	cleanup_close int gone = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cleanup_free char *path = unix_path(&m->peer);
	int r = gone < 0 ? -errno
			 : unix_in_directory(m->directory, gone, &m->peer, unix_call_bind);

	if (r == 0)
		r = unix_in_directory(m->directory, fd, &m->peer, unix_call_connect);
	if (r == 0 && path && remove)
		unix_in_directory(m->directory, gone, path, call_unlink);
	return r;
}

/* Nobody but the one that it is connected to can send to a datagram socket: so that comes last. */
static int connect_again(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	const Rec__Socket *to = m->to ? unix_record(r, m->to) : NULL;
	cleanup_free char *peer = socket_address_text(&m->peer);
	int fd = rebuilt_file(r, m->file->id)->fd, res;
	bool hushed;

	if (m->state != REC__SOCKET__STATE__CONNECTED || (to && to->unlinked))
		return 0;
	hushed = unix_hush(fd);
	res = to ? unix_connect_to(fd, to)
		 : unix_in_directory(m->directory, fd, &m->peer, unix_call_connect);
	if (m->alone && (res == -ENOENT || res == -ECONNREFUSED))
		res = connect_to_gone(fd, m, res == -ENOENT);
	unix_unhush(fd, hushed);
	return res < 0 ? fail_errno(err, -res, "cannot connect a socket to %s", peer) : 0;
}

static int fill_all(struct rebuild *r, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < r->files.count && res == 0; i++) {
		const Rec__Socket *m = unix_record(r, r->files.items[i].id);

		if (m)
			res = fill_one(r, m, err);
		if (m && res == 0)
			res = connect_again(r, m, err);
	}
	return res;
}

/* The other end goes; with something unread in it, if its reader is to be told of a reset. */
static void close_other(struct rebuild *r, const Rec__Socket *m, int fd)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, m->file->id);

	if (m->reset)
		send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s)
		close_fdp(&s->fds[1]);
}

int unix_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	static const int how[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
	const Rec__Socket *m = unix_record(r, f->id);
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, FILLED);
	int res = 0;

	if (!s || !m)
		return s ? 0 : fail(err, ENOMEM, "out of memory");
	if (!s->done) {
		s->done = true;
		res = fill_all(r, err);
	}
	if (res < 0)
		return res;
	if (unix_alone(r, m))
		close_other(r, m, f->fd);
	/* The end of the other one has done that to a stream. */
	if (m->shutdown && !(unix_alone(r, m) && m->type != SOCK_DGRAM) &&
	    shutdown(f->fd, how[m->shutdown]) < 0)
		return fail_errno(err, errno, "cannot shut a socket down");
	/* On its way through another one: no process has it, to do that itself. */
	if (m->state == REC__SOCKET__STATE__LISTENING && !f->in_slot &&
	    listen(f->fd, (int)(m->backlog & INT32_MAX)) < 0)
		return fail_errno(err, errno, "cannot listen on a socket");
	return 0;
}

int unix_settle(struct rebuild *r, const Rec__Socket *m, int fd, struct batch *b,
		struct error **err)
{
	const Rec__Socket *reader = m->writer ? unix_record(r, m->written_to) : NULL;

	for (size_t i = 0; reader && i < reader->n_messages; i++) {
		const ProtobufCBinaryData *data = &reader->messages[i]->data;

		if (!batch_has_room(b, 1, data->len + 16))
			return fail(err, E2BIG, "too much waits in a Unix socket");
		batch_call(b, 0, SYS_sendto, (uint64_t)fd, batch_put(b, data->data, data->len),
			   data->len, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
	}
	return 0;
}

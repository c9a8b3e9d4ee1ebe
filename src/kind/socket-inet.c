/*
 * TCP and UDP.
 *
 * A listening socket listens again on the same address; a datagram socket is bound and
 * connected again.  A TCP connection has a peer who knows where it stood, and to take
 * one over needs a privilege (TCP_REPAIR): it can only come back as one that has ended.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

static bool is_stream(const Rec__Socket *m)
{
	return m->type == SOCK_STREAM;
}

/* ---- Capture ---- */

/* TCP_CLOSE: a new one says ENOTCONN to readers, one that was connected the end, or an error. */
static Rec__Socket__State closed_state(int fd)
{
	struct pollfd p = {.fd = fd};
	char byte;

	/* recv(2) would take the error away from the program. */
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
		return REC__SOCKET__STATE__ENDED;
	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ENOTCONN)
		return REC__SOCKET__STATE__UNCONNECTED;
	return REC__SOCKET__STATE__ENDED;
}

static int capture_stream(const struct file *f, Rec__Socket *m, struct error **err)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;
	int listening = 0;

	if (getsockopt(f->own, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return refuse(err, errno, NULL,
			      "descriptor %d is a stream socket whose state the kernel does not tell",
			      f->fd);
	len = sizeof listening;
	if (getsockopt(f->own, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening) {
		m->state = REC__SOCKET__STATE__LISTENING;
		/* For a listening socket these two tell of its queue. */
		m->backlog = info.tcpi_sacked;
		m->pending = info.tcpi_unacked;
	} else if (info.tcpi_state != TCP_CLOSE) {
		m->state = REC__SOCKET__STATE__ESTABLISHED;
	} else {
		m->state = closed_state(f->own);
	}
	return 0;
}

/* What waits has a sender, and nobody can send in that one's name. */
static int capture_datagrams(const struct file *f, Rec__Socket *m, struct error **err)
{
	struct pollfd p = {.fd = f->own, .events = POLLIN};

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLIN))
		return refuse(err, EBUSY, "try again when the program has read them",
			      "descriptor %d is a socket with datagrams that nobody has read yet",
			      f->fd);
	if (m->peer.len)
		m->state = REC__SOCKET__STATE__CONNECTED;
	return 0;
}

/* A socket that nobody bound has an address of zeros. */
static bool is_bound(const ProtobufCBinaryData *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address->data;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address->data;

	if (address->len >= sizeof *six && six->sin6_family == AF_INET6)
		return six->sin6_port || !IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
	return address->len >= sizeof *four && (four->sin_port || four->sin_addr.s_addr);
}

int inet_capture(struct file *f, Rec__Socket *m, struct error **err)
{
	bool stream = is_stream(m);
	int r;

	if (!stream && m->type != SOCK_DGRAM)
		return refuse(err, ENOTSUP, NULL, "descriptor %d is a raw socket, which is not supported",
			      f->fd);
	r = socket_address(f->own, false, &m->local);
	if (r == 0)
		r = socket_address(f->own, true, &m->peer);
	if (r < 0)
		return fail_errno(err, -r, "descriptor %d: the addresses of a socket", f->fd);
	r = stream ? capture_stream(f, m, err) : capture_datagrams(f, m, err);
	if (r < 0)
		return r;
	if (!is_bound(&m->local)) {
		free(m->local.data);
		m->local = (ProtobufCBinaryData){0};
	}
	/* Of what has ended only that is left. */
	if (m->state == REC__SOCKET__STATE__ESTABLISHED || m->state == REC__SOCKET__STATE__ENDED)
		return 0;
	return socket_options_capture(f->own, m, err);
}

/* ---- Check and restore ---- */

static int bind_local(int fd, const Rec__Socket *m)
{
	const struct sockaddr *address = (const struct sockaddr *)m->local.data;
	int on = 1, recorded = 0;
	socklen_t len = sizeof recorded;
	int r;

	if (!m->local.len)
		return 0;
	/* Connections that the original left behind (TIME_WAIT) must not keep it from its port. */
	if (is_stream(m)) {
		getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &recorded, &len);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	}
	r = bind(fd, address, (socklen_t)m->local.len) < 0 ? -errno : 0;
	if (is_stream(m))
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &recorded, sizeof recorded);
	/* The address may have been chosen by connect(2), which will choose again. */
	if (r == -EADDRNOTAVAIL && m->state == REC__SOCKET__STATE__CONNECTED)
		return 0;
	return r;
}

static int refuse_connection(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_free char *peer = socket_address_text(&m->peer);

	return refuse(err, ENOTSUP, "--tcp-close restores it as a connection that has ended",
		      "the TCP connection from %s to %s cannot be taken up again", local, peer);
}

int inet_check(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_close int fd = -1;
	int k;

	if (m->state == REC__SOCKET__STATE__ESTABLISHED)
		return r->options->tcp_close ? 0 : refuse_connection(m, err);
	if (m->state == REC__SOCKET__STATE__ENDED)
		return 0;
	if (m->pending && !r->options->tcp_close)
		refuse(err, ENOTSUP, "--tcp-close leaves them out",
		       "%u TCP connections to %s waited to be accepted, and cannot be taken up again",
		       m->pending, local);
	fd = socket_make(m, err);
	if (fd < 0)
		return fd;
	k = bind_local(fd, m);
	if (k == -EADDRINUSE)
		return refuse(err, EADDRINUSE, "end whoever has it",
			      "the network address %s is in use", local);
	if (k < 0)
		return refuse(err, -k, NULL, "the network address %s cannot be used: %s", local,
			      strerror(-k));
	return m->pending && !r->options->tcp_close ? -ENOTSUP : 0;
}

/*
 * A connection that has ended: one over the loopback interface whose other end is closed
 * at once.  Readers get the end of the file, writers EPIPE.
 */
static int ended_connection(const Rec__Socket *m)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	socklen_t len = sizeof address;
	cleanup_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_close int fd = socket((int)m->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r, peer;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	mapped.sin6_port = address.sin_port;
	mapped.sin6_addr.s6_addr32[2] = htonl(0xffff);
	mapped.sin6_addr.s6_addr32[3] = address.sin_addr.s_addr;
	r = m->family == AF_INET6 ? connect(fd, (struct sockaddr *)&mapped, sizeof mapped)
				  : connect(fd, (struct sockaddr *)&address, sizeof address);
	if (r < 0)
		return -errno;
	peer = accept(listener, NULL, NULL);
	close_fdp(&peer);
	return fd_steal(&fd);
}

int inet_open(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_close int fd = -1;
	int r;

	if (m->state == REC__SOCKET__STATE__ESTABLISHED || m->state == REC__SOCKET__STATE__ENDED) {
		r = ended_connection(m);
		return r < 0 ? fail_errno(err, -r, "cannot make a connection that has ended") : r;
	}
	fd = socket_make(m, err);
	if (fd < 0)
		return fd;
	r = bind_local(fd, m);
	if (r < 0)
		return fail_errno(err, -r, "the network address %s", local);
	if (m->state == REC__SOCKET__STATE__CONNECTED &&
	    connect(fd, (const struct sockaddr *)m->peer.data, (socklen_t)m->peer.len) < 0)
		return fail_errno(err, errno, "cannot connect a datagram socket again");
	return fd_steal(&fd);
}

/*
 * TCP and UDP.
 *
 * A listening socket listens again on the same address; a datagram socket is bound and
 * connected again.  Connections: socket-tcp.c.
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

/* NULL: supported. */
static const char *refused_protocol(const Rec__Socket *m)
{
	switch (m->protocol) {
	case IPPROTO_TCP:
		return m->type == SOCK_STREAM ? NULL : "a raw socket";
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return m->type == SOCK_DGRAM ? NULL : "a raw socket";
	case IPPROTO_SCTP:
		return "an SCTP socket";
	case IPPROTO_DCCP:
		return "a DCCP socket";
	case IPPROTO_MPTCP:
		return "a multipath TCP socket";
	default:
		return m->type == SOCK_RAW ? "a raw socket" : "a socket of an unknown protocol";
	}
}

int inet_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	const char *refused = refused_protocol(m);
	int r;

	if (refused)
		return refuse(err, ENOTSUP, NULL, "descriptor %d is %s (protocol %u), which is not "
			      "supported", f->fd, refused, m->protocol);
	r = socket_address(f->own, false, &m->local);
	if (r == 0)
		r = socket_address(f->own, true, &m->peer);
	if (r < 0)
		return fail_errno(err, -r, "descriptor %d: the addresses of a socket", f->fd);
	r = is_stream(m) ? tcp_capture(c, f, m, err) : capture_datagrams(f, m, err);
	if (r < 0)
		return r;
	if (!is_bound(&m->local)) {
		free(m->local.data);
		m->local = (ProtobufCBinaryData){0};
	}
	/* Of what has ended only that is left. */
	if (m->state == REC__SOCKET__STATE__ENDED)
		return 0;
	r = socket_options_capture(f->own, m, err);
	return r < 0 || is_stream(m) ? r : multicast_capture(f, m, err);
}

/* ---- Check and restore ---- */

bool inet_is_consistent(const Rec__Socket *m)
{
	bool connected = m->state == REC__SOCKET__STATE__ESTABLISHED;
	bool tcp_only = connected || m->state == REC__SOCKET__STATE__LISTENING ||
			m->state == REC__SOCKET__STATE__ENDED;

	if (refused_protocol(m) || (tcp_only && !is_stream(m)) || !multicast_is_consistent(m))
		return false;
	if ((m->other || m->alone || m->repair) && (!connected || !m->local.len || !m->peer.len))
		return false;
	return !m->repair || tcp_repair_is_consistent(m);
}

int inet_bind(int fd, const Rec__Socket *m)
{
	const struct sockaddr *address = (const struct sockaddr *)m->local.data;
	int on = 1;

	if (!m->local.len)
		return 0;
	/*
	 * Neither what the original left behind (TIME_WAIT) nor the other sockets of the image
	 * that are bound to it must keep it from its port.
	 */
	if (is_stream(m))
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, address, (socklen_t)m->local.len) == 0)
		return 0;
	/* The address may have been chosen by connect(2), which will choose again. */
	return errno == EADDRNOTAVAIL && m->state == REC__SOCKET__STATE__CONNECTED ? 0 : -errno;
}

static int check_connection(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_free char *peer = socket_address_text(&m->peer);

	if (m->other || m->alone)
		return tcp_pair_check(r, m, err);
	if (r->options->tcp_close)
		return 0;
	if (m->repair)
		return tcp_repair_check(m, err);
	return refuse(err, ENOTSUP, "--tcp-close restores it as a connection that has ended",
		      "the TCP connection from %s to %s%s%s cannot be taken up again", local, peer,
		      m->holder[0] ? ", " : "", m->holder);
}

int inet_check(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_close int fd = -1;
	int k;

	if (m->state == REC__SOCKET__STATE__ESTABLISHED)
		return check_connection(r, m, err);
	if (m->state == REC__SOCKET__STATE__ENDED)
		return 0;
	fd = socket_make(m, err);
	if (fd < 0)
		return fd;
	k = inet_bind(fd, m);
	if (k == -EADDRINUSE)
		return refuse(err, EADDRINUSE, "end whoever has it; if nobody has, wait a minute: "
			      "so long a connection that has ended keeps it",
			      "the network address %s is in use", local);
	if (k < 0)
		return refuse(err, -k, NULL, "the network address %s cannot be used: %s", local,
			      strerror(-k));
	return multicast_join(fd, m, err);
}

static int open_connection(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	int fd;

	if (m->state == REC__SOCKET__STATE__ESTABLISHED && (m->other || m->alone))
		return tcp_pair_open(r, m, err);
	if (m->state == REC__SOCKET__STATE__ESTABLISHED && m->repair && !r->options->tcp_close)
		return tcp_repair_open(m, err);
	fd = tcp_ended_open(m);
	return fd < 0 ? fail_errno(err, -fd, "cannot make a connection that has ended") : fd;
}

int inet_open(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_close int fd = -1;
	int k;

	if (m->state == REC__SOCKET__STATE__ESTABLISHED || m->state == REC__SOCKET__STATE__ENDED)
		return open_connection(r, m, err);
	fd = socket_make(m, err);
	if (fd < 0)
		return fd;
	k = inet_bind(fd, m);
	if (k < 0)
		return fail_errno(err, -k, "the network address %s", local);
	k = multicast_join(fd, m, err);
	if (k < 0)
		return k;
	if (m->state == REC__SOCKET__STATE__CONNECTED &&
	    connect(fd, (const struct sockaddr *)m->peer.data, (socklen_t)m->peer.len) < 0)
		return fail_errno(err, errno, "cannot connect a datagram socket again");
	return fd_steal(&fd);
}

/* ---- When all are open ---- */

static const Rec__Socket *as_tcp(const struct rebuilt_file *f)
{
	const Rec__Socket *m = (const Rec__Socket *)f->message;

	return f->kind == &kind_socket && f->fd >= 0 && is_stream(m) && !m->standard &&
		       (m->family == AF_INET || m->family == AF_INET6) ? m : NULL;
}

/*
 * All that listen, before the first gets its own SO_REUSEADDR back: the kernel lets nobody listen
 * where a connection that was made without it has the same port.
 */
static int listen_all(struct rebuild *r, const Rec__Socket *first, struct error **err)
{
	bool found = false;

	vec_each(f, &r->files) {
		const Rec__Socket *m = as_tcp(f);
		cleanup_free char *local = NULL;

		if (!m)
			continue;
		if (!found && m != first)
			return 0;
		found = true;
		if (m->state != REC__SOCKET__STATE__LISTENING ||
		    listen(f->fd, (int)m->backlog) == 0)
			continue;
		local = socket_address_text(&m->local);
		return fail_errno(err, errno, "cannot listen at %s", local);
	}
	return 0;
}

int inet_fill_done(struct rebuild *r, const Rec__Socket *m, int fd, struct error **err)
{
	int reuse = socket_option_number(m, SOL_SOCKET, SO_REUSEADDR, 0);
	int k;

	if (!is_stream(m))
		return 0;
	k = listen_all(r, m, err);
	if (k == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) < 0)
		return fail_errno(err, errno, "cannot set SO_REUSEADDR of a socket");
	return k;
}

/*
 * TCP connections whose ends are both in the image, or whose other end is closed: made anew
 * between the same addresses, with what waits to be read in either end.  Nobody else knows their
 * sequence numbers, so no privilege is needed.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif
#define SOCK_SNDBUF_LOCK 1

/* What any connection has room for. */
#define ROOM_USUAL 16384u

#define CONNECT_MS 3000
#define SETTLE_MS 50
/* How often a queue is tried again, each time with wider buffers. */
#define ROUNDS 40
/* Of these so many without more room than before. */
#define ROUNDS_IN_VAIN 8

/* One end of a connection that is to be made. */
struct end {
	const Rec__Socket *m;             /* NULL: it is closed at once */
	const ProtobufCBinaryData *address;
	int family;
};

static const Rec__Socket *other_of(const struct rebuild *r, const Rec__Socket *m)
{
	const struct rebuilt_file *f = rebuilt_file(r, m->other);
	const Rec__Socket *o = f && f->kind == &kind_socket ? (const Rec__Socket *)f->message : NULL;

	return o && o != m && o->other == m->file->id && o->type == SOCK_STREAM &&
		       (o->family == AF_INET || o->family == AF_INET6) &&
		       o->state == REC__SOCKET__STATE__ESTABLISHED && o->local.len ? o : NULL;
}

static const struct sockaddr *sockaddr_of(const struct end *e)
{
	return (const struct sockaddr *)e->address->data;
}

static void set_number(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof value);
}

/* ---- Room for what waits to be read ---- */

/* A window as large as it may be is agreed on when the connection is made, or never. */
static void widen(int fd, const Rec__Socket *m)
{
	int locked;
	socklen_t len = sizeof locked;

	/* Before Linux 5.14 the kernel would never size it by itself again. */
	if (m->content.len < ROOM_USUAL ||
	    getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &len) < 0)
		return;
	set_number(fd, SOL_SOCKET, SO_RCVBUF,
		   m->content.len < INT32_MAX / 4 ? 2 * (int)m->content.len : INT32_MAX / 4);
}

/* The size is the program's again, or the kernel's. */
static void unlock(int fd, const Rec__Socket *m)
{
	int size = socket_option_number(m, SOL_SOCKET, SO_RCVBUF, 0) / 2;
	int send = socket_option_number(m, SOL_SOCKET, SO_SNDBUF, 0);

	if (m->content.len < ROOM_USUAL)
		return;
	if (size)
		set_number(fd, SOL_SOCKET, SO_RCVBUF, size);
	else
		set_number(fd, SOL_SOCKET, SO_BUF_LOCK, send ? SOCK_SNDBUF_LOCK : 0);
}

/* ---- The connection ---- */

static int make_end(const struct end *e, struct error **err)
{
	int fd = e->m ? socket_make(e->m, err) : socket(e->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return e->m ? fd : fail_errno(err, errno, "cannot make a socket");
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (e->m)
		widen(fd, e->m);
	/* A listening socket would keep its clients waiting for their first data. */
	set_number(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	return fd;
}

static bool same_host(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	const struct sockaddr_in *x = (const struct sockaddr_in *)a->data;
	const struct sockaddr_in *y = (const struct sockaddr_in *)b->data;

	if (a->len != b->len || x->sin_family != y->sin_family)
		return false;
	if (x->sin_family == AF_INET)
		return x->sin_addr.s_addr == y->sin_addr.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)x)->sin6_addr,
		       &((const struct sockaddr_in6 *)y)->sin6_addr, sizeof(struct in6_addr));
}

/*
 * Leaves it to connect(2) to bind, as most programs do: to a port that others may use for other
 * connections, or that one in TIME_WAIT has.  The one port to choose from is ours.
 */
static int bind_late(int fd, const struct end *from, const struct end *to)
{
	struct sockaddr_in6 address = {0}; /* larger than struct sockaddr_in, port at the same place */
	uint32_t range;

	if (from->address->len > sizeof address)
		return -EINVAL;
	memcpy(&address, from->address->data, from->address->len);
	range = (uint32_t)ntohs(address.sin6_port) << 16 | ntohs(address.sin6_port);
	if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) < 0)
		return -EADDRNOTAVAIL; /* an older kernel: the other way is left */
	/* To an own address one comes from that address. */
	if (same_host(from->address, to->address))
		return 0;
	address.sin6_port = 0;
	set_number(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind(fd, (struct sockaddr *)&address, (socklen_t)from->address->len) < 0 ? -errno : 0;
}

static bool has_name(int fd, const ProtobufCBinaryData *address)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof name;

	return getsockname(fd, (struct sockaddr *)&name, &len) == 0 && len == address->len &&
	       !memcmp(&name, address->data, len);
}

static int await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	while ((n = poll(&p, 1, CONNECT_MS)) < 0 && errno == EINTR)
		;
	return n == 1 ? 0 : -ETIMEDOUT;
}

static int connect_end(int fd, const struct end *from, const struct end *to)
{
	const ProtobufCBinaryData *at = from->m ? &from->m->peer : to->address;
	int error = 0, r;
	socklen_t len = sizeof error;

	if (connect(fd, (const struct sockaddr *)at->data, (socklen_t)at->len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	r = await(fd, POLLOUT);
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return r < 0 ? r : -error;
}

/* The connection from ours, whoever else may have found the door open. */
static int accept_end(int listener, const struct end *from)
{
	for (;;) {
		struct sockaddr_storage who = {0};
		socklen_t len = sizeof who;
		const struct sockaddr_in *a = (const struct sockaddr_in *)&who;
		const struct sockaddr_in *b = (const struct sockaddr_in *)from->address->data;
		int r = await(listener, POLLIN), fd;

		if (r < 0)
			return r;
		fd = accept4(listener, (struct sockaddr *)&who, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
			return -errno;
		/* Of one address there is one connection with a port. */
		if (fd >= 0 && a->sin_port == b->sin_port)
			return fd;
		close_fdp(&fd);
	}
}

static void put_back(int fd, const struct end *e, int name)
{
	set_number(fd, IPPROTO_IP, name,
		   e->m ? socket_option_number(e->m, IPPROTO_IP, name, 0) : 0);
}

static int connect_once(const struct end *server, const struct end *client, bool late, int fds[2],
			struct error **err)
{
	cleanup_close int listener = make_end(server, err);
	cleanup_close int fd = listener < 0 ? -1 : make_end(client, err);
	int r;

	if (fd < 0)
		return -EIO;
	if (bind(listener, sockaddr_of(server), (socklen_t)server->address->len) < 0 ||
	    listen(listener, 16) < 0)
		return -errno;
	if (late)
		r = bind_late(fd, client, server);
	else
		r = bind(fd, sockaddr_of(client), (socklen_t)client->address->len) < 0 ? -errno : 0;
	if (r == 0)
		r = connect_end(fd, client, server);
	/* A port beyond net.ipv4.ip_local_port_range is not chosen by connect(2). */
	if (r == 0 && !has_name(fd, client->address))
		r = -EADDRNOTAVAIL;
	if (r < 0)
		return r;
	fds[0] = accept_end(listener, client);
	if (fds[0] < 0)
		return fds[0];
	if (late) {
		put_back(fd, client, IP_LOCAL_PORT_RANGE);
		put_back(fd, client, IP_BIND_ADDRESS_NO_PORT);
	}
	fds[1] = fd_steal(&fd);
	return 0;
}

static bool is_taken(int r)
{
	return r == -EADDRINUSE || r == -EADDRNOTAVAIL;
}

/*
 * The one connects that did.  But a connection that was ended a moment ago keeps the port of one
 * of them (TIME_WAIT), and who connects may have it all the same.
 */
static int connect_ends(const struct end ends[2], int fds[2], struct error **err)
{
	int first = ends[1].m ? ends[1].m->accepted : !ends[0].m->accepted;
	int r = -EADDRINUSE;

	for (int way = 0; way < 4 && is_taken(r); way++) {
		int server = first ^ (way & 1), got[2] = {-1, -1};

		r = connect_once(&ends[server], &ends[!server], way < 2, got, err);
		fds[server] = got[0];
		fds[!server] = got[1];
	}
	return r;
}

/* ---- What waits to be read ---- */

/* Writes as much as there is room for. */
static size_t push(int fd, const uint8_t *data, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	size_t done = 0;

	while (done < size) {
		ssize_t n = send(fd, data + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
		else if (poll(&p, 1, SETTLE_MS) == 0)
			break;
	}
	return done;
}

/* How much of it lies where it is read, when all has arrived or no more comes. */
static size_t arrived(int fd, size_t size)
{
	int waiting = 0;

	for (int i = 0; i < SETTLE_MS; i++) {
		if (ioctl(fd, SIOCINQ, &waiting) == 0 && (size_t)waiting == size)
			break;
		poll(NULL, 0, 1);
	}
	return waiting > 0 ? (size_t)waiting : 0;
}

/* Reads what was written, which makes the kernel give the connection more room. */
static int drain(int fd, size_t size)
{
	cleanup_free char *buf = malloc((size_t)1 << 20);

	while (buf && size) {
		ssize_t n = recv(fd, buf, size < (size_t)1 << 20 ? size : (size_t)1 << 20, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -EIO;
		if (n > 0)
			size -= (size_t)n;
		else if (await(fd, POLLIN) < 0)
			return -ETIMEDOUT;
	}
	return buf ? 0 : -ENOMEM;
}

/*
 * All of it shall lie where it is to be read, as far as the kernel can be brought to give room for
 * it; what it gives none for waits with the writer, as it did in the program.
 */
static int fill(int from, int to, const Rec__Socket *m)
{
	const ProtobufCBinaryData *data = &m->content;
	size_t most = 0;
	int cork = 0, r = 0, vain = 0;
	socklen_t len = sizeof cork;

	if (!data->len)
		return 0;
	getsockopt(from, IPPROTO_TCP, TCP_CORK, &cork, &len);
	set_number(from, IPPROTO_TCP, TCP_CORK, 0);
	for (int round = 0; r == 0; round++) {
		size_t n = push(from, data->data, data->len), there = arrived(to, n);

		vain = there > most ? 0 : vain + 1;
		most = there > most ? there : most;
		if (n == data->len && (there == n || vain > ROUNDS_IN_VAIN || round >= ROUNDS))
			break;
		r = round < ROUNDS ? drain(to, n) : -ENOBUFS;
		/* The kernel may give more than we may ask for. */
		if (round == 0)
			unlock(to, m);
	}
	unlock(to, m);
	set_number(from, IPPROTO_TCP, TCP_CORK, cork);
	return r;
}

/* ---- Pairs ---- */

static char *pair_text(const Rec__Socket *m)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_free char *peer = socket_address_text(&m->peer);

	return local && peer ? str_format("from %s to %s", local, peer) : NULL;
}

static int bind_alone(const Rec__Socket *m, const ProtobufCBinaryData *address)
{
	cleanup_close int fd = socket((int)m->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return bind(fd, (const struct sockaddr *)address->data, (socklen_t)address->len) < 0 ? -errno
											     : 0;
}

int tcp_pair_check(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *text = pair_text(m);
	const Rec__Socket *other = m->alone ? NULL : other_of(r, m);
	int k;

	if (!other && !m->alone)
		return refuse(err, EBADMSG, NULL, "the image has a TCP connection with one end");
	/* One of the two speaks for both. */
	if (other && other->file->id < m->file->id)
		return 0;
	k = bind_alone(m, &m->local);
	if (k == -EADDRINUSE)
		k = other ? bind_alone(other, &other->local) : bind_alone(m, &m->peer);
	if (k == -EADDRINUSE)
		return refuse(err, EADDRINUSE,
			      "end whoever has them; of a connection that has just ended the kernel "
			      "keeps them for a minute",
			      "the addresses of the TCP connection %s are in use", text);
	return k < 0 ? refuse(err, -k, NULL, "the TCP connection %s cannot be made anew: %s", text,
			      strerror(-k)) : 0;
}

static int make_pair(const Rec__Socket *m, const Rec__Socket *other, int fds[2], struct error **err)
{
	cleanup_free char *text = pair_text(m);
	const struct end ends[2] = {
		{m, &m->local, (int)m->family},
		{other, other ? &other->local : &m->peer, (int)m->family},
	};
	struct error *found = NULL;
	int r = connect_ends(ends, fds, &found);

	if (found) {
		error_merge(err, &found);
		return r;
	}
	if (r == 0)
		r = fill(fds[1], fds[0], m);
	if (r == 0 && other)
		r = fill(fds[0], fds[1], other);
	if (r < 0)
		return fail_errno(err, -r, "the TCP connection %s cannot be made anew", text);
	/* The end of the file comes behind what was to be read. */
	if (!other)
		close_fdp(&fds[1]);
	return 0;
}

int tcp_pair_open(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	const Rec__Socket *other = m->alone ? NULL : other_of(r, m);
	struct rebuilt_shared *s = NULL;
	int fds[2] = {-1, -1}, k;

	if (!other && !m->alone)
		return fail(err, EBADMSG, "the image has a TCP connection with one end");
	if (other) {
		s = rebuilt_share(r, kind_socket.tag, m->file->id);
		if (!s)
			return fail(err, ENOMEM, "out of memory");
	}
	if (s && s->fds[0] >= 0)
		return fd_steal(&s->fds[0]);
	k = make_pair(m, other, fds, err);
	/* Where the other end finds itself when its turn comes. */
	s = other && k == 0 ? rebuilt_share(r, kind_socket.tag, other->file->id) : NULL;
	if (s)
		s->fds[0] = fd_steal(&fds[1]);
	close_fdp(&fds[1]);
	if (k < 0 || (other && !s))
		close_fdp(&fds[0]);
	return k < 0 ? k : fds[0] < 0 ? fail(err, ENOMEM, "out of memory") : fds[0];
}

/* ---- Ended ones ---- */

/* What is left of one that has ended: a connection over the loopback interface, ended at once. */
int tcp_ended_open(const Rec__Socket *m)
{
	const struct linger at_once = {.l_onoff = 1};
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	socklen_t len = sizeof address;
	cleanup_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_close int fd = socket((int)m->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_close int peer = -1;
	int r;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	widen(fd, m);
	mapped.sin6_port = address.sin_port;
	mapped.sin6_addr.s6_addr32[2] = htonl(0xffff);
	mapped.sin6_addr.s6_addr32[3] = address.sin_addr.s_addr;
	r = m->family == AF_INET6 ? connect(fd, (struct sockaddr *)&mapped, sizeof mapped)
				  : connect(fd, (struct sockaddr *)&address, sizeof address);
	if (r < 0)
		return -errno;
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer < 0)
		return -errno;
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	r = fill(peer, fd, m);
	fcntl(fd, F_SETFL, O_RDWR);
	if (r < 0)
		return r;
	if (m->reset)
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close_fdp(&peer);
	/* Of one that was still connected only the peer is gone. */
	if (m->state == REC__SOCKET__STATE__ENDED && !m->reset)
		shutdown(fd, SHUT_RDWR);
	return fd_steal(&fd);
}

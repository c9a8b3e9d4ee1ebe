/*
 * TCP connections with somebody outside, where TCP_REPAIR is permitted (CAP_NET_ADMIN in the owner of
 * the network namespace): taken up again with their sequence numbers, so that the peer sees a pause.
 *
 * Capture has the socket in repair mode for a few system calls, all of which only read.  Killed in
 * between, it leaves a socket that says EPERM, which the next checkpoint mends.
 */
#include "kind/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/calls.h"
#include "task/append.h"

/* As <linux/tcp.h> has them, which does not go with <netinet/tcp.h>. */
#define REPAIR_OFF 0
#define REPAIR_ON 1
#define REPAIR_OFF_SILENTLY (-1)
#define QUEUE_NONE 0
#define QUEUE_RECEIVE 1
#define QUEUE_SEND 2
#define OPTION_MSS 2
#define OPTION_WINDOW 3
#define OPTION_SACK 4
#define OPTION_TIMESTAMP 8

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

#define ACKNOWLEDGED_MS 250

/* What one send(2) puts in a queue: the kernel wants it in one piece. */
#define CHUNK 16384u

/* The newer part of it. */
struct long_info {
	struct tcp_info info;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
};

static int get(int fd, int name, void *value, socklen_t size)
{
	socklen_t len = size;

	if (getsockopt(fd, IPPROTO_TCP, name, value, &len) < 0)
		return -errno;
	return len == size ? 0 : -EPROTO;
}

static int set(int fd, int name, const void *value, socklen_t size)
{
	return setsockopt(fd, IPPROTO_TCP, name, value, size) < 0 ? -errno : 0;
}

static int set_number(int fd, int name, int value)
{
	return set(fd, name, &value, sizeof value);
}

static int get_info(int fd, struct long_info *ret)
{
	*ret = (struct long_info){0};
	return get(fd, TCP_INFO, ret, sizeof *ret);
}

/* ---- Capture ---- */

static int get_sequence(int fd, int queue, uint32_t *ret)
{
	int r = set_number(fd, TCP_REPAIR_QUEUE, queue);

	return r < 0 ? r : get(fd, TCP_QUEUE_SEQ, ret, sizeof *ret);
}

static int peek_outgoing(int fd, Rec__TcpRepair *m)
{
	int all = 0, unsent = 0;
	ssize_t n = 0;

	if (ioctl(fd, SIOCOUTQ, &all) < 0 || ioctl(fd, SIOCOUTQNSD, &unsent) < 0)
		return -errno;
	m->send_sequence -= (uint32_t)all;
	m->unsent = (uint32_t)unsent;
	if (!all)
		return 0;
	m->outgoing.data = malloc((size_t)all);
	m->outgoing.len = (size_t)all;
	if (m->outgoing.data)
		n = recv(fd, m->outgoing.data, (size_t)all, MSG_PEEK | MSG_DONTWAIT);
	return n < 0 ? -errno : n == all ? 0 : -EAGAIN;
}

/* Data may come in at any moment: all of this is of one moment, or is asked again (-EAGAIN). */
static int read_queues(int fd, Rec__Socket *m)
{
	struct long_info before, after;
	Rec__TcpRepair *t = m->repair;
	int waiting = 0, r = get_info(fd, &before);

	free(m->content.data);
	free(t->outgoing.data);
	m->content = t->outgoing = (ProtobufCBinaryData){0};
	if (r == 0)
		r = get_sequence(fd, QUEUE_RECEIVE, &t->receive_sequence);
	if (r == 0 && ioctl(fd, SIOCINQ, &waiting) < 0)
		r = -errno;
	t->receive_sequence -= (uint32_t)waiting;
	if (r == 0 && waiting > 0) {
		m->content.data = malloc((size_t)waiting);
		m->content.len = (size_t)waiting;
		if (!m->content.data)
			return -ENOMEM;
		if (recv(fd, m->content.data, m->content.len, MSG_PEEK | MSG_DONTWAIT) != waiting)
			return -EAGAIN;
	}
	if (r == 0)
		r = get_sequence(fd, QUEUE_SEND, &t->send_sequence);
	if (r == 0)
		r = peek_outgoing(fd, t);
	if (r == 0)
		r = get_info(fd, &after);
	if (r == 0 && (before.bytes_received != after.bytes_received ||
		       before.bytes_acked != after.bytes_acked))
		return -EAGAIN;
	t->received = before.bytes_received;
	t->options = before.info.tcpi_options;
	t->send_scale = before.info.tcpi_snd_wscale;
	t->receive_scale = before.info.tcpi_rcv_wscale;
	return r;
}

static int read_connection(int fd, Rec__Socket *m)
{
	struct tcp_repair_window window;
	int r = -EAGAIN;

	for (int i = 0; i < 20 && r == -EAGAIN; i++)
		r = read_queues(fd, m);
	if (r == 0)
		r = get(fd, TCP_MAXSEG, &m->repair->mss, sizeof m->repair->mss);
	if (r == 0)
		r = get(fd, TCP_TIMESTAMP, &m->repair->timestamp, sizeof m->repair->timestamp);
	if (r == 0)
		r = get(fd, TCP_REPAIR_WINDOW, &window, sizeof window);
	return r < 0 ? r : bytes_set(&m->repair->window, &window, sizeof window);
}

/* Out of repair mode the kernel has forgotten SO_REUSEADDR, and sends nothing for it. */
static void leave_repair(int fd, int reuse)
{
	set_number(fd, TCP_REPAIR_QUEUE, QUEUE_NONE);
	priv_tcp_repair(fd, REPAIR_OFF_SILENTLY);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
}

void tcp_repair_mend(int fd)
{
	int on = 0;

	if (get(fd, TCP_REPAIR, &on, sizeof on) == 0 && on)
		priv_tcp_repair(fd, REPAIR_OFF_SILENTLY);
}

/*
 * What is on its way will be acknowledged; if that came when nobody is there any more, the kernel
 * would answer it with a reset.  Peers take their time for it, but no longer than this.
 */
static void await_acknowledgement(int fd)
{
	const struct timespec moment = {0, 1000000};
	int all = 0, unsent = 0;

	for (int i = 0; i < ACKNOWLEDGED_MS; i++) {
		if (ioctl(fd, SIOCOUTQ, &all) < 0 || ioctl(fd, SIOCOUTQNSD, &unsent) < 0 ||
		    all == unsent)
			return;
		nanosleep(&moment, NULL);
	}
}

int tcp_repair_capture(const struct file *f, Rec__Socket *m, int state, struct error **err)
{
	int reuse = 0, r;
	socklen_t len = sizeof reuse;

	if (state != TCP_ESTABLISHED || m->shutdown)
		return 0;
	getsockopt(f->own, SOL_SOCKET, SO_REUSEADDR, &reuse, &len);
	/* Not permitted, as to most: the restore will say so. */
	if (priv_tcp_repair(f->own, REPAIR_ON) < 0)
		return 0;
	leave_repair(f->own, reuse);
	await_acknowledgement(f->own);
	if (priv_tcp_repair(f->own, REPAIR_ON) < 0)
		return 0;
	m->repair = calloc(1, sizeof *m->repair);
	if (m->repair) {
		rec__tcp_repair__init(m->repair);
		r = read_connection(f->own, m);
	} else {
		r = -ENOMEM;
	}
	leave_repair(f->own, reuse);
	if (r == 0)
		return 0;
	return refuse(err, -r, r == -EAGAIN ? "try again when less goes over it" : NULL,
		      "descriptor %d is a TCP connection that cannot be read: %s", f->fd, strerror(-r));
}

int tcp_repair_may_end(const struct file *f, const Rec__Socket *m, struct error **err)
{
	struct long_info now;
	int unsent = -1;

	/* Of what the kernel has sent since, the peer would speak to one who knows nothing of it. */
	if (get_info(f->own, &now) == 0 && ioctl(f->own, SIOCOUTQNSD, &unsent) == 0 &&
	    now.bytes_received == m->repair->received && (uint32_t)unsent == m->repair->unsent &&
	    now.info.tcpi_state == TCP_ESTABLISHED)
		return 0;
	return refuse(err, EBUSY, "try again when less goes over it",
		      "descriptor %d is a TCP connection over which data has gone since it was saved",
		      f->fd);
}

void tcp_repair_forget(int fd)
{
	/* What has come is acknowledged at once: the peer would soon send it again, to nobody. */
	set_number(fd, TCP_QUICKACK, 1);
	priv_tcp_repair(fd, REPAIR_ON);
}

/* ---- Check and restore ---- */

bool tcp_repair_is_consistent(const Rec__Socket *m)
{
	const Rec__TcpRepair *t = m->repair;

	return t->unsent <= t->outgoing.len && t->window.len == sizeof(struct tcp_repair_window) &&
	       t->send_scale <= 14 && t->receive_scale <= 14 && t->mss <= UINT16_MAX;
}

static char *text_of(const Rec__Socket *m)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_free char *peer = socket_address_text(&m->peer);

	return str_format("the TCP connection from %s to %s%s%s", local, peer,
			  m->holder[0] ? ", " : "", m->holder);
}

/* In repair mode a socket may be bound to any port that no other connection has between these two. */
static int place(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *text = text_of(m);
	cleanup_close int fd = socket_make(m, err);
	const Rec__TcpRepair *t = m->repair;
	int r;

	if (fd < 0)
		return -EIO;
	r = priv_tcp_repair(fd, REPAIR_ON);
	if (r < 0)
		return refuse(err, -r, "restore it with CAP_NET_ADMIN, or with --tcp-close as a "
			      "connection that has ended", "%s cannot be taken up again", text);
	r = set_number(fd, TCP_REPAIR_QUEUE, QUEUE_RECEIVE);
	if (r == 0)
		r = set(fd, TCP_QUEUE_SEQ, &t->receive_sequence, sizeof t->receive_sequence);
	if (r == 0)
		r = set_number(fd, TCP_REPAIR_QUEUE, QUEUE_SEND);
	if (r == 0)
		r = set(fd, TCP_QUEUE_SEQ, &t->send_sequence, sizeof t->send_sequence);
	if (r == 0 && (bind(fd, (const struct sockaddr *)m->local.data, (socklen_t)m->local.len) < 0 ||
		       connect(fd, (const struct sockaddr *)m->peer.data, (socklen_t)m->peer.len) < 0))
		r = -errno;
	if (r == 0)
		return fd_steal(&fd);
	return refuse(err, -r, r == -EADDRNOTAVAIL ? "end the process that has it still" : NULL,
		      "%s cannot be taken up again: %s", text, strerror(-r));
}

int tcp_repair_check(const Rec__Socket *m, struct error **err)
{
	/* Closed in repair mode, it was never there. */
	cleanup_close int fd = place(m, err);

	return fd < 0 ? fd : 0;
}

static int set_options(int fd, const Rec__TcpRepair *t)
{
	struct tcp_repair_opt options[4];
	size_t n = 0;

	options[n++] = (struct tcp_repair_opt){OPTION_MSS, t->mss};
	if (t->options & TCPI_OPT_WSCALE)
		options[n++] = (struct tcp_repair_opt){OPTION_WINDOW,
						       t->send_scale | t->receive_scale << 16};
	if (t->options & TCPI_OPT_SACK)
		options[n++] = (struct tcp_repair_opt){OPTION_SACK, 0};
	if (t->options & TCPI_OPT_TIMESTAMPS)
		options[n++] = (struct tcp_repair_opt){OPTION_TIMESTAMP, 0};
	return set(fd, TCP_REPAIR_OPTIONS, options, (socklen_t)(n * sizeof options[0]));
}

static int put(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size < CHUNK ? size : CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int tcp_repair_open(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *text = text_of(m);
	cleanup_close int fd = place(m, err);
	const Rec__TcpRepair *t = m->repair;
	size_t sent = t->outgoing.len - t->unsent;
	int r;

	if (fd < 0)
		return fd;
	r = priv_send_buffer(fd, t->outgoing.len + 2 * CHUNK);
	if (r == 0)
		r = set_options(fd, t);
	if (r == 0 && (t->options & TCPI_OPT_TIMESTAMPS))
		r = set(fd, TCP_TIMESTAMP, &t->timestamp, sizeof t->timestamp);
	if (r == 0)
		r = set_number(fd, TCP_REPAIR_QUEUE, QUEUE_RECEIVE);
	if (r == 0)
		r = put(fd, m->content.data, m->content.len);
	if (r == 0)
		r = set_number(fd, TCP_REPAIR_QUEUE, QUEUE_SEND);
	if (r == 0)
		r = put(fd, t->outgoing.data, sent);
	if (r == 0)
		r = set(fd, TCP_REPAIR_WINDOW, t->window.data, (socklen_t)t->window.len);
	if (r < 0)
		return fail_errno(err, -r, "%s", text);
	return fd_steal(&fd);
}

/* What was never sent is written now, and the kernel sends it. */
static int send_rest(int fd, const Rec__Socket *m)
{
	const Rec__TcpRepair *t = m->repair;
	int size = socket_option_number(m, SOL_SOCKET, SO_SNDBUF, 0) / 2, locked = 0;
	int r = put(fd, t->outgoing.data + t->outgoing.len - t->unsent, t->unsent);

	/* The buffer was made larger for it; after this the kernel sizes it as it did. */
	if (size)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	else
		setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, sizeof locked);
	return r;
}

int tcp_repair_finish(int fd, const Rec__Socket *m, struct error **err)
{
	int reuse = socket_option_number(m, SOL_SOCKET, SO_REUSEADDR, 0);
	int r = set_number(fd, TCP_REPAIR_QUEUE, QUEUE_NONE);

	/* This one tells the peer that somebody is there again. */
	if (r == 0)
		r = priv_tcp_repair(fd, REPAIR_OFF);
	if (r == 0)
		r = send_rest(fd, m);
	if (r == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) < 0)
		r = -errno;
	return r < 0 ? fail_errno(err, -r, "cannot go on with a TCP connection") : 0;
}

/*
 * What is saved of a TCP socket.
 *
 * A connection has two ends.  Where both are in the image, or the other one was on this machine and
 * is closed, it needs nobody's consent to be made anew (socket-tcp-pair.c); where TCP_REPAIR is
 * permitted, it is taken up again with its sequence numbers (socket-tcp-repair.c); else it
 * can only come back as one that has ended.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* How long what was sent may take to be acknowledged: more than the kernel delays it. */
#define DELIVERY_MS 300

static int state_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ? -errno : info.tcpi_state;
}

static short events_of(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLPRI | POLLRDHUP};

	return poll(&p, 1, 0) == 1 ? p.revents : 0;
}

/* ---- What waits to be read ---- */

static int capture_received(const struct file *f, Rec__Socket *m, struct error **err)
{
	int size = 0, offset = -1;
	socklen_t len = sizeof offset;

	if (ioctl(f->own, SIOCINQ, &size) < 0)
		return fail_errno(err, errno, "descriptor %d: what waits in a socket", f->fd);
	if (events_of(f->own) & POLLPRI)
		return refuse(err, ENOTSUP, "try again when the program has read it",
			      "descriptor %d is a TCP socket with urgent data that nobody has read "
			      "yet", f->fd);
	if (size <= 0)
		return 0;
	/* Before Linux 6.9 TCP has no such offset; where it is in use, to look would move it. */
	if (getsockopt(f->own, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == 0 && offset >= 0)
		return refuse(err, ENOTSUP, "try again when the program has read it",
			      "descriptor %d is a TCP socket with unread data and SO_PEEK_OFF",
			      f->fd);
	m->content.data = malloc((size_t)size);
	if (!m->content.data)
		return fail(err, ENOMEM, "out of memory");
	m->content.len = (size_t)size;
	if (recv(f->own, m->content.data, (size_t)size, MSG_PEEK | MSG_DONTWAIT) != size)
		return refuse(err, EBUSY, "try again when the program has read it",
			      "descriptor %d is a TCP socket whose unread data cannot be seen whole",
			      f->fd);
	return 0;
}

/* ---- The other end ---- */

static const struct file *file_by_inode(const struct capture *c, uint32_t inode)
{
	vec_each(it, &c->files.files)
		if ((*it)->own >= 0 && (*it)->st.st_ino == inode && S_ISSOCK((*it)->st.st_mode))
			return *it;
	return NULL;
}

static bool is_closing(int state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_CLOSING || state == TCP_LAST_ACK;
}

/*
 * The two calls that must not be parted: by a process of its own that takes no signals, so that a
 * tool that is ended between them leaves the program's option as it was.
 */
static void set_for_a_moment(int reader, int want, int usual)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		setsid();
		setsockopt(reader, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof want);
		setsockopt(reader, SOL_SOCKET, SO_RCVLOWAT, &usual, sizeof usual);
		_exit(0);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	/* Should somebody have ended it. */
	setsockopt(reader, SOL_SOCKET, SO_RCVLOWAT, &usual, sizeof usual);
}

/*
 * Lets the kernel give a reader the room that it would have got by reading faster: SO_RCVLOWAT does
 * so where the program has not chosen the size.  That somebody looks is when the writer hears of it.
 */
static void make_room(int reader, int unsent)
{
	int usual = 1, waiting = 0, want, offset = -1;
	socklen_t len = sizeof usual, offset_len = sizeof offset;
	char byte;

	if (ioctl(reader, SIOCINQ, &waiting) < 0 ||
	    getsockopt(reader, SOL_SOCKET, SO_RCVLOWAT, &usual, &len) < 0)
		return;
	want = waiting < INT_MAX / 4 && unsent < INT_MAX / 4 ? 2 * (waiting + unsent) : INT_MAX;
	set_for_a_moment(reader, want, usual);
	/* Where it is in use, to look would move it. */
	if (getsockopt(reader, SOL_SOCKET, SO_PEEK_OFF, &offset, &offset_len) < 0 || offset < 0)
		recv(reader, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

/*
 * Within this machine what was sent is received at once, and acknowledged a moment later.
 * Returns the state in which that has come to rest, or -EBUSY: the reader (-1: none of ours) has no
 * room for it.
 */
static int await_delivery(int fd, int reader)
{
	const struct timespec moment = {0, 1000000};
	bool asked = false;

	for (int i = 0; i < DELIVERY_MS; i++) {
		int all = 0, unsent = 0, state = state_of(fd);

		if (state < 0 || ioctl(fd, SIOCOUTQ, &all) < 0)
			return -errno;
		if (state == TCP_CLOSE || (!all && !is_closing(state)))
			return state;
		/* Nothing moves: the window is closed. */
		if (i > DELIVERY_MS / 3 && ioctl(fd, SIOCOUTQNSD, &unsent) == 0 && unsent) {
			if (asked || reader < 0)
				return -EBUSY;
			make_room(reader, all);
			asked = true;
			i = 0;
		}
		nanosleep(&moment, NULL);
	}
	return -EBUSY;
}

/* Whoever is closed may still have something to send; then comes its end. */
static int await_end(int fd)
{
	const struct timespec moment = {0, 1000000};

	for (int i = 0; i < DELIVERY_MS; i++) {
		int state = state_of(fd);

		if (state != TCP_ESTABLISHED && state != TCP_FIN_WAIT1 && state != TCP_FIN_WAIT2)
			return state;
		if (i == 0)
			make_room(fd, INT_MAX);
		nanosleep(&moment, NULL);
	}
	return -EBUSY;
}

/* In both directions: what one end has sent is saved with the other. */
static int await_rest(int fd, int other)
{
	int r = await_delivery(fd, other);

	if (r >= 0)
		r = other < 0 ? await_end(fd) : await_delivery(other, fd);
	return r < 0 ? r : state_of(fd);
}

/* Closed by its program, but for what the kernel does to end it. */
static bool has_left(const struct tcp_end *end)
{
	return !end->inode && end->state != TCP_ESTABLISHED && end->state != TCP_SYN_RECV;
}

static int capture_local(const struct file *f, Rec__Socket *m,
			 const struct file *other, struct error **err)
{
	int state = await_rest(f->own, other ? other->own : -1);

	if (state == -EBUSY)
		return refuse(err, EBUSY, "try again when some of it was read",
			      "descriptor %d is a TCP socket with data on its way for which its "
			      "reader has no room", f->fd);
	if (state < 0)
		return fail_errno(err, -state, "descriptor %d: the state of a TCP socket", f->fd);
	if (state == TCP_CLOSE) {
		m->state = REC__SOCKET__STATE__ENDED;
		m->reset = (events_of(f->own) & POLLERR) != 0;
		return 0;
	}
	m->other = other ? other->id : 0;
	m->alone = !other;
	m->accepted = tcp_was_accepted(m);
	if (state == TCP_FIN_WAIT2)
		m->shutdown |= 2;
	/* A peer's end looks the same from here as an own shutdown(2) of the reading side. */
	if (state != TCP_CLOSE_WAIT && (events_of(f->own) & POLLRDHUP))
		m->shutdown |= 1;
	return 0;
}

static int capture_connection(struct capture *c, struct file *f, Rec__Socket *m, int state,
			      struct error **err)
{
	struct tcp_end end = {0};
	bool known = tcp_other_end(m, &end) == 0;
	const struct file *other = known && end.inode ? file_by_inode(c, end.inode) : NULL;
	bool left;
	int r;

	if (state == TCP_SYN_SENT)
		return refuse(err, EBUSY, "try again when it is connected, or has failed",
			      "descriptor %d is a TCP socket that is being connected", f->fd);
	m->state = REC__SOCKET__STATE__ESTABLISHED;
	tcp_repair_mend(f->own);
	if (other == f)
		other = NULL;
	/* After a minute the kernel forgets the end that was closed first. */
	left = known ? has_left(&end) : state == TCP_CLOSE_WAIT && inet_is_local(&m->peer);
	if (other || left) {
		r = capture_local(f, m, other, err);
		return r < 0 ? r : capture_received(f, m, err);
	}
	if (known) {
		m->holder = tcp_holder(c, m, &end);
		if (!m->holder)
			return fail(err, ENOMEM, "out of memory");
	}
	r = capture_received(f, m, err);
	return r < 0 ? r : tcp_repair_capture(f, m, state, err);
}

/* ---- All of them ---- */

/* TCP_CLOSE: a new one says ENOTCONN to readers, one that was connected the end, or an error. */
static int capture_closed(const struct file *f, Rec__Socket *m, struct error **err)
{
	char byte;

	m->state = REC__SOCKET__STATE__ENDED;
	/* recv(2) would take the error away from the program. */
	m->reset = (events_of(f->own) & POLLERR) != 0;
	if (!m->reset && recv(f->own, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ENOTCONN)
		m->state = REC__SOCKET__STATE__UNCONNECTED;
	return m->state == REC__SOCKET__STATE__ENDED ? capture_received(f, m, err) : 0;
}

/* Protocols on top of TCP keep secrets that nobody can read. */
static bool has_layer(int fd, char name[16])
{
	socklen_t len = 15;

	memset(name, 0, 16);
	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len && name[0];
}

int tcp_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;
	int listening = 0;
	char layer[16];

	if (getsockopt(f->own, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return refuse(err, errno, NULL,
			      "descriptor %d is a stream socket whose state the kernel does not tell",
			      f->fd);
	if (has_layer(f->own, layer))
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a TCP socket with the kernel's %s on top, which is "
			      "not supported", f->fd, layer);
	len = sizeof listening;
	if (getsockopt(f->own, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening) {
		m->state = REC__SOCKET__STATE__LISTENING;
		/* For a listening socket these two tell of its queue. */
		m->backlog = info.tcpi_sacked;
		m->pending = info.tcpi_unacked;
		return 0;
	}
	if (info.tcpi_state == TCP_CLOSE)
		return capture_closed(f, m, err);
	return capture_connection(c, f, m, info.tcpi_state, err);
}

void tcp_ended(const struct file *f, const Rec__Socket *m)
{
	const struct linger at_once = {.l_onoff = 1};

	if (m->type != SOCK_STREAM || m->state != REC__SOCKET__STATE__ESTABLISHED)
		return;
	/* Our duplicate is the last: without this its addresses would be taken for a minute. */
	if (m->other || m->alone)
		setsockopt(f->own, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	else if (m->repair)
		tcp_repair_forget(f->own);
}

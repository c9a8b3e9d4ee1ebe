/* What waits to be read in a Unix socket: bytes, messages, and descriptors on their way. */
#include "kind/socket.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

/* What one process sends for the sake of its credentials goes through one batch. */
#define CREDENTIALS_MAX (256u * 1024u)

static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -errno : value;
}

static bool has_urgent_byte(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLPRI};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLPRI);
}

static bool something_waits(int fd, bool *ret_ended)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

	if (poll(&p, 1, 0) != 1)
		return false;
	*ret_ended = p.revents & (POLLRDHUP | POLLHUP);
	return p.revents & POLLIN;
}

/*
 * A stream of bytes and nothing else shows all of them to one MSG_PEEK.  Returns the bytes,
 * malloc'ed, or NULL: it has to be looked at closely.
 */
static char *plain_bytes(int fd, size_t size)
{
	struct iovec part = {malloc(size), size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (part.iov_base && option(fd, SO_PEEK_OFF) == -1 &&
	    recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) == (ssize_t)size &&
	    !(message.msg_flags & MSG_CTRUNC))
		return part.iov_base;
	free(part.iov_base);
	return NULL;
}

static int peek_failed(const struct file *f, int r, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	return refuse(err, -r, "try again when the program has read it",
		      "%s: what waits to be read cannot be saved: %s", name, strerror(-r));
}

static int refuse_urgent(const struct file *f, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	return refuse(err, EBUSY, "try again when the program has read it",
		      "%s is a Unix socket in which an urgent byte (MSG_OOB) waits", name);
}

/* In no table, nobody can settle it; and some are made by the processes themselves. */
static int passable(const struct file *f, struct error **err)
{
	cleanup_free char *name = file_describe(f);
	const struct kind *kind = NULL;

	for (size_t i = 0; i < kinds_count && !kind; i++)
		if (kinds[i]->file && kinds[i]->file->claims(f))
			kind = kinds[i];
	if (!kind || f->fd >= 0)
		return 0;
	if (f->info.locks.count)
		return refuse(err, EBUSY, "try again when the program has received it",
			      "%s is locked and on its way through a socket", name);
	if (kind->file->open_late || str_starts(f->link, "/proc/") ||
	    (kind->file->settle && kind != &kind_socket && !S_ISREG(f->st.st_mode)))
		return refuse(err, EBUSY, "try again when the program has received it",
			      "%s is on its way through a socket, which is not supported for its kind "
			      "(%s)", name, kind->name);
	return 0;
}

static int passed_file(struct capture *c, struct file *f, int *fd, uint32_t *ret,
		       struct error **err)
{
	struct file *passed = capture_description(c, f->task, fd_steal(fd), err);
	int r = passed ? passable(passed, err) : -ENOMEM;

	*ret = passed ? passed->id : 0;
	return r;
}

/* ---- The record ---- */

static int keep_bytes(ProtobufCBinaryData *to, const void *bytes, size_t size)
{
	if (!size)
		return 0;
	to->data = malloc(size);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, bytes, size);
	to->len = size;
	return 0;
}

static int keep_passed(struct capture *c, struct file *f, struct peeked_message *p,
		       Rec__SocketMessage *to, struct error **err)
{
	if (!p->passed)
		return 0;
	to->passed = calloc(p->passed, sizeof *to->passed);
	if (!to->passed)
		return fail(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < p->passed; i++) {
		int r = passed_file(c, f, &p->fds[i], &to->passed[to->n_passed], err);

		if (r < 0)
			return r;
		to->n_passed++;
	}
	return 0;
}

/* As the program knows them. */
static int keep_credentials(struct capture *c, const struct file *f,
			    const struct peeked_message *p, Rec__SocketMessage *to,
			    struct error **err)
{
	const struct task *sender = p->told && p->who.pid ? tree_find(&c->tree, p->who.pid) : NULL;
	cleanup_free char *name = file_describe(f);
	const struct proc_status *status;

	if (!p->told || !p->who.pid)
		return 0;
	status = sender && !sender->zombie ? &task_leader(sender)->status : NULL;
	if (!status || status->uid[0] != p->who.uid || status->gid[0] != p->who.gid)
		return refuse(err, EBUSY, "try again when the program has read it",
			      "%s has a message from process %d (uid %u), which is not in the tree (or "
			      "not as that user), and nobody else can send in its name", name,
			      p->who.pid, p->who.uid);
	to->pid = (uint32_t)sender->ns_pid;
	to->uid = p->who.uid;
	to->gid = p->who.gid;
	return 0;
}

static int keep_message(struct capture *c, struct file *f, struct peeked_message *p,
			Rec__Socket *m, struct error **err)
{
	Rec__SocketMessage *to = malloc(sizeof *to);
	int r;

	if (!to)
		return fail(err, ENOMEM, "out of memory");
	rec__socket_message__init(to);
	m->messages[m->n_messages++] = to;
	if (keep_bytes(&to->data, p->data, p->size) < 0 ||
	    (p->name_size > sizeof(sa_family_t) &&
	     keep_bytes(&to->sender, &p->name, p->name_size) < 0))
		return fail(err, ENOMEM, "out of memory");
	r = keep_passed(c, f, p, to, err);
	return r < 0 ? r : keep_credentials(c, f, p, to, err);
}

static int refuse_credentials(const struct file *f, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	return refuse(err, EBUSY, "try again when the program has read them",
		      "%s has messages with credentials of several processes, with descriptors, or too "
		      "many of them, which cannot be sent again", name);
}

/* All of them were sent by one process, or the receiver is told of none. */
static int check_credentials(const struct file *f, const Rec__Socket *m, struct error **err)
{
	size_t size = 0;

	for (size_t i = 0; i < m->n_messages; i++) {
		const Rec__SocketMessage *at = m->messages[i];

		size += at->data.len + 64;
		if (at->pid != m->messages[0]->pid || (at->pid && at->n_passed))
			return refuse_credentials(f, err);
	}
	return m->n_messages && m->messages[0]->pid && (size > CREDENTIALS_MAX || m->n_messages > 1000)
		       ? refuse_credentials(f, err) : 0;
}

/* Those of a stream that are nothing but bytes are in content, all others in messages. */
static int read_queue(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	struct peeked queue cleanup_peeked = {0};
	bool ended = false;
	size_t sum = 0;
	int size = 0, r;

	/* It is not among those that are shown, and its place is not told. */
	if (has_urgent_byte(f->own))
		return refuse_urgent(f, err);
	if (!something_waits(f->own, &ended))
		return 0;
	if (ioctl(f->own, FIONREAD, &size) < 0)
		return peek_failed(f, -errno, err);
	if (m->type == SOCK_STREAM && size == 0)
		return 0;
	if (m->type == SOCK_STREAM) {
		m->content.data = (uint8_t *)plain_bytes(f->own, (size_t)size);
		m->content.len = m->content.data ? (size_t)size : 0;
		if (m->content.data)
			return 0;
	}
	r = unix_peek(f->own, (int)m->type, ended, &queue);
	if (r < 0)
		return peek_failed(f, r, err);
	m->messages = calloc(queue.messages.count + 1, sizeof *m->messages);
	if (!m->messages)
		return fail(err, ENOMEM, "out of memory");
	vec_each(p, &queue.messages) {
		sum += p->size;
		r = keep_message(c, f, p, m, err);
		if (r < 0)
			return r;
	}
	if (m->type != SOCK_DGRAM && sum != (size_t)size)
		return peek_failed(f, -EAGAIN, err);
	return check_credentials(f, m, err);
}

/* Once: looking at an empty message hides it from the next look (skb->peeked). */
int queue_discover(struct capture *c, struct file *f, struct error **err)
{
	cleanup_error struct error *obstacle = NULL;
	int type = option(f->own, SO_TYPE), r;
	Rec__Socket *m;

	/* What waits in a standard descriptor may well be others'. */
	if (!is_unix_socket(f) || option(f->own, SO_ACCEPTCONN) != 0 || standard_of(c, f) >= 0)
		return 0;
	m = kind_message(&kind_socket);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->type = (uint32_t)type;
	r = read_queue(c, f, m, &obstacle);
	if (r == 0)
		f->found = &m->base;
	else
		message_free(&m->base);
	/* capture() will look again, and tell. */
	return 0;
}

int queue_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	Rec__Socket *found = (Rec__Socket *)f->found;

	if (!found)
		return read_queue(c, f, m, err);
	m->content = found->content;
	m->messages = found->messages;
	m->n_messages = found->n_messages;
	found->content = (ProtobufCBinaryData){0};
	found->messages = NULL;
	found->n_messages = 0;
	return 0;
}

/* ---- Empty messages that cannot be seen ---- */

/* What the kernel charges the sender for a message of that size, until it is read. */
static int charge(const int pair[2], const void *data, size_t size)
{
	int queued = 0;
	char byte;

	if (send(pair[0], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size ||
	    ioctl(pair[0], TIOCOUTQ, &queued) < 0 ||
	    recv(pair[1], &byte, 1, MSG_DONTWAIT | MSG_TRUNC) < 0)
		return -1;
	return queued;
}

int queue_complete(const struct file *f, const struct file *sender, const Rec__Socket *m,
		   struct error **err)
{
	cleanup_free char *name = file_describe(f);
	cleanup_close int from = -1, to = -1;
	int queued = 0, empty, pair[2];

	if (m->type == SOCK_STREAM || sender->own < 0 ||
	    ioctl(sender->own, TIOCOUTQ, &queued) < 0 || queued <= 0)
		return 0;
	if (socketpair(AF_UNIX, (int)m->type | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a pair of sockets");
	from = pair[0];
	to = pair[1];
	empty = charge(pair, "", 0);
	for (size_t i = 0; i < m->n_messages; i++) {
		int one = charge(pair, m->messages[i]->data.data, m->messages[i]->data.len);

		if (one < 0)
			return 0; /* it does not fit in the usual buffer: nothing to compare with */
		queued -= one;
	}
	if (empty <= 0 || queued <= 0 || queued % empty)
		return 0;
	return refuse(err, EBUSY, "try again when the program has read them",
		      "%s is a Unix socket with empty messages that were looked at before (MSG_PEEK), "
		      "and cannot be seen again", name);
}

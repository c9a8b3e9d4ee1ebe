/*
 * Unix sockets: what the kernel tells of them, and whom they are connected to.
 *
 * Each end of a connection is a description with a record of its own; the two are found by
 * their inodes (socket-diag.c).  What waits to be read is with the end that will read it.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

/* In c->shared, inodes of sockets that wait to be accepted, by whom. */
#define WAITING SPACE_UNIX_WAITING

bool is_unix_socket(const struct file *f)
{
	int domain = 0;
	socklen_t len = sizeof domain;

	return f->own >= 0 && S_ISSOCK(f->st.st_mode) && !(f->flags & O_PATH) &&
	       getsockopt(f->own, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

static bool is_listening(const struct file *f)
{
	int listening = 0;
	socklen_t len = sizeof listening;

	return getsockopt(f->own, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static struct file *file_by_inode(const struct capture *c, uint32_t inode)
{
	if (inode)
		vec_each(it, &c->files.files)
			if (S_ISSOCK((*it)->st.st_mode) && (*it)->own >= 0 &&
			    (*it)->st.st_ino == inode)
				return *it;
	return NULL;
}

static int capture_path(const struct file *f, const struct unix_state *s, Rec__Socket *m)
{
	cleanup_free char *path = unix_path(&m->local), *peer = unix_path(&m->peer);
	cleanup_close int dir = -1;
	struct stat st;

	if ((path && path[0] != '/') || (peer && peer[0] != '/')) {
		char *directory = task_readlink(f->task, "cwd");

		if (!directory)
			return -errno;
		m->directory = directory;
	}
	if (!path)
		return 0;
	dir = openat(f->task->proc, path[0] == '/' ? "root" : "cwd", O_PATH | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	m->unlinked = fstatat(dir, path + (path[0] == '/'), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		      !S_ISSOCK(st.st_mode) || (uint32_t)st.st_ino != s->file;
	m->permissions = m->unlinked ? 0600 : st.st_mode & 07777;
	return 0;
}

/* ---- Connections that wait to be accepted ---- */

static uint32_t known_listener(const struct capture *c, uint64_t inode, uint64_t what)
{
	vec_each(s, &c->shared)
		if (s->space == WAITING && s->key[0] == inode && s->key[1] == what)
			return s->owner;
	return 0;
}

/* Whom each of them waits for is seen from the listening sockets only: all are asked once. */
static uint32_t listener_of(struct capture *c, const struct file *f)
{
	if (!known_listener(c, 0, 0)) {
		capture_share(c, WAITING, 0, 0, 1);
		vec_each(it, &c->files.files) {
			uint32_t *inodes = NULL;
			int n = is_unix_socket(*it) && is_listening(*it)
					? unix_waiting((uint32_t)(*it)->st.st_ino, &inodes) : 0;

			for (int i = 0; i < n; i++)
				capture_share(c, WAITING, inodes[i], 1, (*it)->id);
			free(inodes);
		}
	}
	return known_listener(c, f->st.st_ino, 1);
}

static int refuse_waiting(const struct file *f, const char *why, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	return refuse(err, EBUSY, "try again when the program has accepted it",
		      "%s is a Unix socket with a connection that waits to be accepted, %s", name, why);
}

static int keep_waiting(struct capture *c, const struct file *f, uint32_t inode, Rec__Socket *m,
			struct error **err)
{
	const struct file *client = file_by_inode(c, inode);
	int sent = 0;

	if (!client && c->external.unix_sockets == EXTERNAL_CLOSE)
		return 0;
	if (!client)
		return refuse_waiting(f, inode ? "of a process outside"
					       : "whose other end is closed by now", err);
	/* What it has sent nobody can see before it is accepted. */
	if (ioctl(client->own, TIOCOUTQ, &sent) < 0 || sent)
		return refuse_waiting(f, "and through which something was sent already", err);
	m->waiting[m->n_waiting++] = client->id;
	return 0;
}

static int capture_listening(struct capture *c, const struct file *f, const struct unix_state *s,
			     Rec__Socket *m, struct error **err)
{
	uint32_t *inodes = NULL;
	int n = unix_waiting((uint32_t)f->st.st_ino, &inodes), r = 0;

	m->state = REC__SOCKET__STATE__LISTENING;
	m->backlog = s->backlog;
	if (n < 0)
		return fail_errno(err, -n, "what waits to be accepted");
	m->waiting = calloc((size_t)n + 1, sizeof *m->waiting);
	if (!m->waiting)
		r = fail(err, ENOMEM, "out of memory");
	for (int i = 0; i < n && r == 0; i++)
		r = keep_waiting(c, f, inodes[i], m, err);
	free(inodes);
	return r;
}

/* ---- Connections ---- */

/* An abstract name that another socket has too: it is not bound to it, but was accepted there. */
static bool shares_name(const struct capture *c, const struct file *f, const Rec__Socket *m)
{
	vec_each(it, &c->files.files) {
		ProtobufCBinaryData other = {0};
		bool same;

		if (*it == f || !is_unix_socket(*it) || socket_address((*it)->own, false, &other) < 0)
			continue;
		same = same_address(&other, &m->local);
		free(other.data);
		if (same)
			return true;
	}
	return false;
}

/*
 * Of two ends with abstract names, which was accepted?  The one whose name another socket has as
 * well; where none has, the later one: who accepts comes after who connects.
 */
static bool was_accepted(const struct capture *c, const struct file *f, const struct file *peer,
			 const Rec__Socket *m)
{
	cleanup_free char *path = unix_path(&m->local);

	if (!m->local.len || path)
		return false;
	if (shares_name(c, f, m))
		return true;
	return !peer || !m->peer.len || (f->id > peer->id && !shares_name(c, peer, m));
}

static bool held_outside(struct capture *c, const struct file *f, const struct file *peer)
{
	struct holder holder;

	return c->external.unix_sockets != EXTERNAL_CLOSE &&
	       (holder_outside(c, f, &holder) || (peer && holder_outside(c, peer, &holder)));
}

static int capture_pair(struct capture *c, struct file *f, const struct file *peer, Rec__Socket *m,
			struct error **err)
{
	struct pollfd p = {.fd = f->own};
	int r;

	m->state = REC__SOCKET__STATE__PAIR;
	m->alone = !peer;
	m->reset = m->alone && m->type != SOCK_DGRAM && poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
	/* The lower id of the two stands for the pair. */
	m->pair = peer && peer->id < f->id ? peer->id : f->id;
	r = queue_capture(c, f, m, err);
	return r == 0 && peer ? queue_complete(f, peer, m, err) : r;
}

/* Streams, and packets in sequence. */
static int capture_connected(struct capture *c, struct file *f, const struct unix_state *s,
			     Rec__Socket *m, struct error **err)
{
	const struct file *peer = file_by_inode(c, s->peer);

	m->shutdown = s->shutdown & 3;
	if (!peer && !s->peer && m->shutdown != 3 && listener_of(c, f)) {
		m->state = REC__SOCKET__STATE__WAITING;
		return queue_capture(c, f, m, err);
	}
	if ((!peer && m->shutdown != 3) || held_outside(c, f, peer))
		return outside_capture(c, f, s->peer, m, err);
	m->accepted = was_accepted(c, f, peer, m);
	return capture_pair(c, f, peer, m, err);
}

/* ---- Datagrams ---- */

static bool is_connected(const struct file *f, const struct file *to)
{
	struct unix_state s = {0};

	return unix_state((uint32_t)f->st.st_ino, &s) == 0 && s.peer == to->st.st_ino;
}

static int refuse_senders(const struct file *f, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	return refuse(err, EBUSY, "try again when the program has read them",
		      "%s has datagrams from others than it is connected to, and no name by which they "
		      "could be sent again", name);
}

/* One of ours that has this name is connected to f. */
static bool sent_through(const struct capture *c, const struct file *f,
			 const ProtobufCBinaryData *sender)
{
	vec_each(it, &c->files.files) {
		ProtobufCBinaryData name = {0};
		bool same;

		if (!sender->len || !is_unix_socket(*it) || !is_connected(*it, f) ||
		    socket_address((*it)->own, false, &name) < 0)
			continue;
		same = same_address(&name, sender);
		free(name.data);
		if (same)
			return true;
	}
	return false;
}

/*
 * Whether what waits can be sent again: in a pair by the other end, else to the socket's name, or
 * by one that is connected to it.
 */
static int check_senders(const struct capture *c, const struct file *f, const Rec__Socket *m,
			 const struct file *peer, struct error **err)
{
	bool pair = m->state == REC__SOCKET__STATE__PAIR;
	bool reachable = m->local.len && !m->unlinked && !pair;

	for (size_t i = 0; i < m->n_messages && !reachable; i++) {
		const ProtobufCBinaryData *sender = &m->messages[i]->sender;

		if (pair ? peer && !same_address(sender, &m->peer) : !sent_through(c, f, sender))
			return refuse_senders(f, err);
	}
	return 0;
}

static int capture_datagram(struct capture *c, struct file *f, const struct unix_state *s,
			    Rec__Socket *m, struct error **err)
{
	const struct file *peer = file_by_inode(c, s->peer);
	cleanup_free char *name = file_describe(f);
	int r;

	m->shutdown = s->shutdown & 3;
	if (peer && is_connected(peer, f))
		r = held_outside(c, f, peer) ? outside_capture(c, f, s->peer, m, err)
					     : capture_pair(c, f, peer, m, err);
	else if (s->connected && !m->peer.len && !s->peer)
		r = capture_pair(c, f, NULL, m, err);
	else if (s->connected && !m->peer.len)
		r = peer ? refuse(err, ENOTSUP, NULL, "%s is one of a pair of sockets whose other end "
				  "was connected elsewhere, which is not supported", name)
			 : outside_capture(c, f, s->peer, m, err);
	else {
		m->state = s->connected ? REC__SOCKET__STATE__CONNECTED
					: REC__SOCKET__STATE__UNCONNECTED;
		m->to = peer ? peer->id : 0;
		m->alone = s->connected && !s->peer;
		r = queue_capture(c, f, m, err);
	}
	return r < 0 ? r : check_senders(c, f, m, peer, err);
}

/* ---- Credentials of what waits ---- */

static Rec__Socket *captured(const struct capture *c, uint32_t id)
{
	vec_each(r, &c->records)
		if (r->kind == &kind_socket && kind_file(r->message)->id == id)
			return (Rec__Socket *)r->message;
	return NULL;
}

/* The process that sent it has the socket that it goes through, and can write to it. */
static int name_writer(struct capture *c, const struct file *reader, const Rec__Socket *waits,
		       const struct file *sender, Rec__Socket *through, struct error **err)
{
	cleanup_free char *name = file_describe(reader);
	uint32_t pid = waits->n_messages ? waits->messages[0]->pid : 0;

	if (!pid)
		return 0;
	vec_each(t, &c->tree.tasks)
		if ((uint32_t)(*t)->ns_pid == pid && !((waits->shutdown & 1) | (through->shutdown & 2)))
			vec_each(s, &(*t)->slots)
				if (s->file == sender->id) {
					through->writer = pid;
					through->written_to = reader->id;
					return 0;
				}
	return refuse(err, EBUSY, "try again when the program has read them",
		      "%s has messages with the credentials of process %u, which cannot send them again",
		      name, pid);
}

/* For whichever of the two ends comes later. */
static int name_writers(struct capture *c, const struct file *f, const struct file *peer,
			Rec__Socket *m, struct error **err)
{
	Rec__Socket *other = peer ? captured(c, peer->id) : NULL;
	int r = 0;

	if (!peer && m->n_messages && m->messages[0]->pid) {
		cleanup_free char *name = file_describe(f);

		return refuse(err, EBUSY, "try again when the program has read them",
			      "%s has messages with credentials of another process", name);
	}
	if (other)
		r = name_writer(c, f, m, peer, other, err);
	if (other && r == 0)
		r = name_writer(c, peer, other, f, m, err);
	return r;
}

int unix_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	cleanup_free char *name = file_describe(f);
	struct unix_state s = {0};
	struct holder holder;
	int r = unix_state((uint32_t)f->st.st_ino, &s);

	if (r < 0)
		return refuse(err, -r, NULL, "%s is a Unix socket, and the kernel does not tell its "
			      "state (unix_diag: %s)", name, strerror(-r));
	r = socket_address(f->own, false, &m->local);
	if (r == 0)
		r = socket_address(f->own, true, &m->peer);
	if (r == 0)
		r = capture_path(f, &s, m);
	if (r < 0)
		return fail_errno(err, -r, "%s: the addresses of a socket", name);
	/* Bound by a process outside, which has it too: systemd(1), a supervisor. */
	m->hole = c->external.unix_sockets == EXTERNAL_INHERIT && !s.connected &&
		  holder_outside(c, f, &holder);
	if (m->hole)
		return 0;
	if (s.listening)
		r = capture_listening(c, f, &s, m, err);
	else if (m->type == SOCK_DGRAM)
		r = capture_datagram(c, f, &s, m, err);
	else if (s.connected || s.shutdown)
		r = capture_connected(c, f, &s, m, err);
	if (r < 0 || m->standard || m->hole)
		return r;
	r = name_writers(c, f, file_by_inode(c, s.peer), m, err);
	return r < 0 ? r : socket_options_capture(f->own, m, err);
}

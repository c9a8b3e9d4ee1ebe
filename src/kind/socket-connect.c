/*
 * Unix sockets are made again: names, pairs and connections.
 *
 * The first that is to be opened makes all of them, since the order matters: names that were
 * removed, or that accepted sockets have, must be free again for whoever is
 * bound to them now; and who connects by name needs it to be there.
 * They stand in rebuilt_share() by their ids: fds[0] the socket, fds[1] the other end of one
 * that is alone (it goes when what waited is written).
 *
 * A socket that is bound to a path leaves its file behind when it ends: that file
 * is replaced, unless somebody is behind it.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define ALL 0 /* no File has this id: the entry for all of them */

/* ---- The records ---- */

const Rec__Socket *unix_record(const struct rebuild *r, uint32_t id)
{
	const struct rebuilt_file *f = rebuilt_file(r, id);
	const Rec__Socket *m = f && f->kind == &kind_socket && !f->replaced
				       ? (const Rec__Socket *)f->message : NULL;

	return m && m->family == AF_UNIX && !m->standard && !m->hole ? m : NULL;
}

const Rec__Socket *unix_other_end(const struct rebuild *r, const Rec__Socket *m)
{
	if (m->alone || m->state != REC__SOCKET__STATE__PAIR)
		return NULL;
	if (m->pair != m->file->id)
		return unix_record(r, m->pair);
	vec_each(f, &r->files) {
		const Rec__Socket *at = unix_record(r, f->id);

		if (at && at != m && at->state == REC__SOCKET__STATE__PAIR && at->pair == m->pair)
			return at;
	}
	return NULL;
}

bool unix_alone(const struct rebuild *r, const Rec__Socket *m)
{
	if (m->state == REC__SOCKET__STATE__RECONNECT)
		return r->options->unix_close;
	return m->state == REC__SOCKET__STATE__PAIR && !unix_other_end(r, m);
}

/* ---- Names ---- */

char *unix_path(const ProtobufCBinaryData *address)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)address->data;
	size_t at = offsetof(struct sockaddr_un, sun_path);

	if (address->len <= at || !un->sun_path[0])
		return NULL;
	return strndup(un->sun_path, address->len - at);
}

bool same_address(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* Runs in a child: the directory is the process's.  The socket is the same in both. */
int unix_in_directory(const char *directory, int fd, const void *arg,
		      int (*call)(int fd, const void *arg))
{
	int status = 0;
	pid_t pid;

	if (!directory[0])
		return call(fd, arg);
	pid = fork();
	if (pid == 0)
		_exit(chdir(directory) < 0 ? errno : -call(fd, arg));
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int unix_call_bind(int fd, const void *arg)
{
	const ProtobufCBinaryData *address = arg;
	cleanup_free char *path = unix_path(address);
	struct stat st;

	/* check() has seen to it that nobody is behind it. */
	if (path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) < 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)address->data, (socklen_t)address->len) < 0
		       ? -errno : 0;
}

int unix_call_connect(int fd, const void *arg)
{
	const ProtobufCBinaryData *address = arg;

	return connect(fd, (const struct sockaddr *)address->data, (socklen_t)address->len) < 0
		       ? -errno : 0;
}

/* The file of the name becomes what it was. */
static int call_finish(int fd, const void *arg)
{
	const Rec__Socket *m = arg;
	cleanup_free char *path = unix_path(&m->local);

	(void)fd;
	if (!path)
		return 0;
	if (m->unlinked)
		return unlink(path) < 0 ? -errno : 0;
	return chmod(path, m->permissions & 07777) < 0 ? -errno : 0;
}

int unix_connect_to(int fd, const Rec__Socket *to)
{
	bool hushed = unix_hush(fd);
	int r = unix_in_directory(to->directory, fd, &to->local, unix_call_connect);

	unix_unhush(fd, hushed);
	return r;
}

bool unix_hush(int fd)
{
	int was = 0, off = 0;
	socklen_t len = sizeof was;

	return getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &was, &len) == 0 && was &&
	       setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off) == 0;
}

void unix_unhush(int fd, bool was)
{
	int on = 1;

	if (was)
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

/* The file that its name makes; NULL: none. */
static char *whole_path(const Rec__Socket *m)
{
	cleanup_free char *path = unix_path(&m->local);

	if (!path)
		return NULL;
	return path[0] == '/' ? strdup(path) : str_format("%s/%s", m->directory, path);
}

static int bind_name(struct rebuild *r, int fd, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local), *path = whole_path(m);
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, m->file->id);
	struct stat st;
	bool new = path && lstat(path, &st) < 0;
	int res = m->local.len ? unix_in_directory(m->directory, fd, &m->local, unix_call_bind) : 0;

	/* For unix_undo(): a file that was there before is replaced by its like. */
	if (s && res == 0)
		s->done = new;
	return res < 0 ? fail_errno(err, -res, "cannot bind a socket to %s", local) : 0;
}

void unix_undo(const struct rebuild *r, const Rec__Socket *m)
{
	vec_each(s, &r->shared)
		if (s->space == kind_socket.tag && s->key == m->file->id && s->done) {
			cleanup_free char *path = whole_path(m);
			struct stat st;

			if (path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
				unlink(path);
		}
}

static int finish_name(int fd, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	int r = m->local.len ? unix_in_directory(m->directory, fd, m, call_finish) : 0;

	return r < 0 ? fail_errno(err, -r, "the socket %s", local) : 0;
}

/* ---- All of them ---- */

static int new_socket(const Rec__Socket *m, struct error **err)
{
	int fd = socket(AF_UNIX, (int)m->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? fail_errno(err, errno, "cannot make a socket") : fd;
}

/* Takes both descriptors. */
static int keep(struct rebuild *r, const Rec__Socket *m, int fd, int other, struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, m->file->id);

	if (!s || s->fds[0] >= 0) {
		close_fdp(&fd);
		close_fdp(&other);
		return fail(err, s ? EINVAL : ENOMEM, s ? "a socket with two connections"
							: "out of memory");
	}
	s->fds[0] = fd;
	s->fds[1] = other;
	return 0;
}

static int made(struct rebuild *r, const Rec__Socket *m)
{
	const struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, m->file->id);

	return s ? s->fds[0] : -1;
}

/* The one that we have made ourselves: somebody else may have found the name meanwhile. */
static int accept_own(int listener)
{
	for (;;) {
		struct ucred who = {0};
		socklen_t len = sizeof who;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid())
			return fd;
		close(fd);
	}
}

/* Its end has the name of a socket that listens, or that did: one is made for the moment. */
static int accepted_pair(struct rebuild *rebuild, const Rec__Socket *server,
			 const Rec__Socket *client, int fds[2], struct error **err)
{
	cleanup_free char *local = socket_address_text(&server->local);
	cleanup_close int listener = new_socket(server, err), from = -1;
	int to, r;

	if (listener < 0)
		return listener;
	from = new_socket(server, err);
	r = from < 0 ? from : bind_name(rebuild, listener, server, err);
	if (r == 0 && client)
		r = bind_name(rebuild, from, client, err);
	if (r < 0)
		return r;
	if (listen(listener, 1) < 0)
		return fail_errno(err, errno, "cannot listen on %s", local);
	r = unix_connect_to(from, server);
	if (r < 0)
		return fail_errno(err, -r, "cannot connect a socket to %s", local);
	to = accept_own(listener);
	if (to < 0)
		return fail_errno(err, -to, "cannot accept a connection on %s", local);
	fds[0] = to;
	fds[1] = fd_steal(&from);
	return client ? finish_name(fds[1], client, err) : 0;
}

static int named_pair(struct rebuild *rebuild, const Rec__Socket *m, const Rec__Socket *other,
		      int fds[2], struct error **err)
{
	int r;

	if (socketpair(AF_UNIX, (int)m->type | SOCK_CLOEXEC, 0, fds) < 0)
		return fail_errno(err, errno, "cannot make a pair of sockets");
	r = bind_name(rebuild, fds[0], m, err);
	if (r == 0)
		r = finish_name(fds[0], m, err);
	if (r == 0 && other)
		r = bind_name(rebuild, fds[1], other, err);
	if (r == 0 && other)
		r = finish_name(fds[1], other, err);
	return r;
}

static int make_pair(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	const Rec__Socket *other = unix_other_end(r, m), *first = m;
	int fds[2] = {-1, -1}, res;

	if (other && other->accepted && !m->accepted) {
		first = other;
		other = m;
	}
	res = first->accepted ? accepted_pair(r, first, other, fds, err)
			      : named_pair(r, first, other, fds, err);
	if (res < 0) {
		close_fdp(&fds[0]);
		close_fdp(&fds[1]);
		return res;
	}
	if (!other)
		return keep(r, first, fds[0], fds[1], err);
	res = keep(r, first, fds[0], -1, err);
	if (res < 0) {
		close(fds[1]);
		return res;
	}
	return keep(r, other, fds[1], -1, err);
}

/* Without a name yet. */
static int make_socket(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	int fd = made(r, m);

	if (fd >= 0)
		return 0;
	fd = new_socket(m, err);
	return fd < 0 ? fd : keep(r, m, fd, -1, err);
}

static int connect_now(struct rebuild *r, const Rec__Socket *from, const Rec__Socket *to,
		       struct error **err)
{
	cleanup_free char *local = socket_address_text(&to->local);
	int res = make_socket(r, from, err);

	if (res < 0)
		return res;
	res = unix_connect_to(made(r, from), to);
	return res < 0 ? fail_errno(err, -res, "cannot connect a socket to %s", local) : 0;
}

/* Those that need the name, while it is there. */
static int connect_others(struct rebuild *r, const Rec__Socket *m, int fd, struct error **err)
{
	uint32_t room = m->backlog > m->n_waiting ? m->backlog : (uint32_t)m->n_waiting;
	int res = 0;

	if (m->n_waiting && listen(fd, (int)(room & INT32_MAX)) < 0)
		return fail_errno(err, errno, "cannot listen on a socket");
	for (size_t i = 0; i < m->n_waiting && res == 0; i++) {
		const Rec__Socket *from = unix_record(r, m->waiting[i]);

		res = from ? connect_now(r, from, m, err) : 0;
	}
	if (m->type != SOCK_DGRAM || !m->unlinked)
		return res;
	for (size_t i = 0; i < r->files.count && res == 0; i++) {
		const Rec__Socket *from = unix_record(r, r->files.items[i].id);

		if (from && from->to == m->file->id && from != m)
			res = connect_now(r, from, m, err);
	}
	return res;
}

static int reconnect(int fd, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *peer = socket_address_text(&m->peer);
	int r = unix_in_directory(m->directory, fd, &m->peer, unix_call_connect);

	return r < 0 ? fail_errno(err, -r, "cannot connect a socket to %s again", peer) : 0;
}

static int make_single(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	int res = make_socket(r, m, err), fd = made(r, m);

	if (res == 0)
		res = bind_name(r, fd, m, err);
	if (res == 0)
		res = connect_others(r, m, fd, err);
	if (res == 0)
		res = finish_name(fd, m, err);
	return res == 0 && m->state == REC__SOCKET__STATE__RECONNECT ? reconnect(fd, m, err) : res;
}

enum turn {
	LOST_NAMES,  /* bound to paths that are another's by now */
	CONNECTIONS,
	ALL_OTHERS,
	TURNS,
};

static enum turn turn_of(const struct rebuild *r, const Rec__Socket *m)
{
	const Rec__Socket *other = unix_other_end(r, m);

	if (m->unlinked || (other && other->unlinked))
		return LOST_NAMES;
	return m->state == REC__SOCKET__STATE__PAIR || unix_alone(r, m) ? CONNECTIONS : ALL_OTHERS;
}

static int make_one(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	bool pair = m->state == REC__SOCKET__STATE__PAIR || unix_alone(r, m);

	/* The other end has made it. */
	if (pair && made(r, m) >= 0)
		return 0;
	return pair ? make_pair(r, m, err) : make_single(r, m, err);
}

static int make_all(struct rebuild *r, struct error **err)
{
	for (enum turn turn = 0; turn < TURNS; turn++)
		for (size_t i = 0; i < r->files.count; i++) {
			const Rec__Socket *m = unix_record(r, r->files.items[i].id);
			int res = m && turn_of(r, m) == turn ? make_one(r, m, err) : 0;

			if (res < 0)
				return res;
		}
	return 0;
}

int unix_open(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_socket.tag, ALL);
	cleanup_close int fd = -1;
	int res = 0;

	if (s && !s->done) {
		s->done = true;
		res = make_all(r, err);
	}
	if (res < 0)
		return res;
	s = rebuilt_share(r, kind_socket.tag, m->file->id);
	if (!s || s->fds[0] < 0)
		return fail(err, EINVAL, "a socket that was not made");
	fd = fd_steal(&s->fds[0]);
	res = socket_options_set(fd, m, err);
	return res < 0 ? res : fd_steal(&fd);
}

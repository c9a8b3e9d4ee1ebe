/*
 * Unix sockets that listen or send datagrams by name, and those connected to nobody.
 * (Two that are connected to each other: socket-pair.c.)
 *
 * A socket that is bound to a path leaves its file behind when it ends: that file
 * is replaced, unless somebody is behind it.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

/* The file that an address names, as the program wrote it; NULL: it is no path. */
static char *bound_path(const ProtobufCBinaryData *address)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)address->data;
	size_t at = offsetof(struct sockaddr_un, sun_path);

	if (address->len <= at || !un->sun_path[0])
		return NULL;
	return strndup(un->sun_path, address->len - at);
}

/* ---- Capture ---- */

static int capture_path(const struct file *f, const struct unix_state *s, Rec__Socket *m)
{
	cleanup_free char *path = bound_path(&m->local);
	cleanup_close int dir = -1;
	struct stat st;

	if (!path)
		return 0;
	if (path[0] != '/') {
		m->directory = task_readlink(f->task, "cwd");
		if (!m->directory)
			return -errno;
	}
	dir = openat(f->task->proc, path[0] == '/' ? "root" : "cwd", O_PATH | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	m->unlinked = fstatat(dir, path + (path[0] == '/'), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		      !S_ISSOCK(st.st_mode) || (uint32_t)st.st_ino != s->file;
	m->permissions = m->unlinked ? 0600 : st.st_mode & 07777;
	return 0;
}

static int refuse_connected(const struct file *f, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *peer = socket_address_text(&m->peer);
	struct ucred who = {0};
	socklen_t len = sizeof who;
	char name[17];

	if (getsockopt(f->own, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || !who.pid)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a Unix socket connected to another process (%s)",
			      f->fd, peer);
	holder_name(who.pid, name);
	return refuse(err, ENOTSUP, "close that connection, or end that process",
		      "descriptor %d is a Unix socket connected to process %d (%s)", f->fd, who.pid,
		      name);
}

static const struct file *file_by_inode(const struct capture *c, uint32_t inode)
{
	vec_each(it, &c->files.files)
		if (S_ISSOCK((*it)->st.st_mode) && (*it)->own >= 0 && (*it)->st.st_ino == inode)
			return *it;
	return NULL;
}

static int capture_connected(struct capture *c, struct file *f, const struct unix_state *s,
			     Rec__Socket *m, struct error **err)
{
	int standard = standard_of(c, f);
	const struct file *peer = s->peer ? file_by_inode(c, s->peer) : NULL;

	m->shutdown = s->shutdown & 3;
	m->alone = !peer && m->shutdown == 3;
	if (!peer && !m->alone) {
		if (standard < 0)
			return refuse_connected(f, m, err);
		m->standard = (uint32_t)standard + 1;
		return 0;
	}
	if (m->local.len || m->peer.len)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a Unix socket of a connection within the program "
			      "that has a name, which is not supported", f->fd);
	/* The lower id of the two stands for the pair. */
	m->pair = peer && peer->id < f->id ? peer->id : f->id;
	m->state = REC__SOCKET__STATE__PAIR;
	return pair_capture(c, f, m, err);
}

static int capture_datagram(const struct file *f, const struct unix_state *s, Rec__Socket *m,
			    struct error **err)
{
	struct pollfd p = {.fd = f->own, .events = POLLIN};

	if (s->peer && !m->peer.len)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is one of a pair of datagram sockets, which is not supported",
			      f->fd);
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLIN))
		return refuse(err, EBUSY, "try again when the program has read them",
			      "descriptor %d is a Unix socket with datagrams that nobody has read yet",
			      f->fd);
	if (m->peer.len)
		m->state = REC__SOCKET__STATE__CONNECTED;
	return 0;
}

int unix_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	struct unix_state s = {0};
	int r = unix_state((uint32_t)f->st.st_ino, &s);

	if (r < 0)
		return refuse(err, -r, NULL,
			      "descriptor %d is a Unix socket, and the kernel does not tell its state "
			      "(unix_diag: %s)", f->fd, strerror(-r));
	r = socket_address(f->own, false, &m->local);
	if (r == 0)
		r = socket_address(f->own, true, &m->peer);
	if (r == 0)
		r = capture_path(f, &s, m);
	if (r < 0)
		return fail_errno(err, -r, "descriptor %d: the addresses of a socket", f->fd);
	if (s.listening) {
		m->state = REC__SOCKET__STATE__LISTENING;
		m->backlog = s.backlog;
		if (s.queued)
			return refuse(err, EBUSY, "try again when the program has accepted them",
				      "descriptor %d is a Unix socket with %u connections that wait to "
				      "be accepted", f->fd, s.queued);
	} else if (m->type == SOCK_DGRAM) {
		r = capture_datagram(f, &s, m, err);
	} else if (s.peer || s.shutdown) {
		r = capture_connected(c, f, &s, m, err);
	}
	return r < 0 || m->standard ? r : socket_options_capture(f->own, m, err);
}

/* ---- Check and restore ---- */

/*
 * Runs in a child: the directory is the process's, and the address must be the very
 * text that the program gave.  The socket is the same in both.
 */
static int in_directory(const Rec__Socket *m, int fd, int (*call)(int fd, const Rec__Socket *m))
{
	int status = 0;
	pid_t pid;

	if (!m->directory[0])
		return call(fd, m);
	pid = fork();
	if (pid == 0)
		_exit(chdir(m->directory) < 0 ? errno : -call(fd, m));
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int call_connect(int fd, const Rec__Socket *m)
{
	return connect(fd, (const struct sockaddr *)m->local.data, (socklen_t)m->local.len) < 0
		       ? -errno : 0;
}

/* Binds, and makes the file what it was. */
static int call_bind(int fd, const Rec__Socket *m)
{
	cleanup_free char *path = bound_path(&m->local);
	struct stat st;

	/* check() has seen to it that nobody is behind it. */
	if (path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)m->local.data, (socklen_t)m->local.len) < 0)
		return -errno;
	if (!path)
		return 0;
	if (m->unlinked)
		return unlink(path) < 0 ? -errno : 0;
	return chmod(path, m->permissions & 07777) < 0 ? -errno : 0;
}

static int check_bound(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *text = socket_address_text(&m->local);
	cleanup_free char *path = bound_path(&m->local);
	cleanup_free char *whole = path && path[0] != '/' ? str_format("%s/%s", m->directory, path)
							  : path ? strdup(path) : NULL;
	cleanup_close int fd = socket(AF_UNIX, (int)m->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return fail_errno(err, errno, "cannot make a socket");
	if (m->directory[0] && access(m->directory, W_OK | X_OK) < 0)
		return refuse(err, errno, NULL, "%s, in which the socket %s was: %s", m->directory,
			      text, strerror(errno));
	r = in_directory(m, fd, call_connect);
	if (r == -ENOENT || (r == -ECONNREFUSED && !path))
		return 0;
	if (r != -ECONNREFUSED && r != -EACCES)
		return refuse(err, EADDRINUSE, "end whoever has it",
			      "another process has the socket %s", text);
	if (whole && lstat(whole, &st) == 0 && S_ISSOCK(st.st_mode) && !m->unlinked)
		return 0;
	return refuse(err, EEXIST, "move it away",
		      "%s, to which a socket was bound, is now %s", text,
		      m->unlinked ? "another one's" : "not a socket");
}

int unix_check(const Rec__Socket *m, struct error **err)
{
	return m->local.len ? check_bound(m, err) : 0;
}

static int call_connect_peer(int fd, const Rec__Socket *m)
{
	return connect(fd, (const struct sockaddr *)m->peer.data, (socklen_t)m->peer.len) < 0
		       ? -errno : 0;
}

int unix_open(struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	cleanup_free char *local = socket_address_text(&m->local);
	cleanup_free char *peer = socket_address_text(&m->peer);
	cleanup_close int fd = -1;
	int k;

	if (m->state == REC__SOCKET__STATE__PAIR)
		return pair_open(r, m, err);
	fd = socket_make(m, err);
	if (fd < 0)
		return fd;
	k = m->local.len ? in_directory(m, fd, call_bind) : 0;
	if (k < 0)
		return fail_errno(err, -k, "cannot bind a socket to %s", local);
	k = m->state == REC__SOCKET__STATE__CONNECTED ? in_directory(m, fd, call_connect_peer) : 0;
	if (k < 0)
		return fail_errno(err, -k, "cannot connect a socket to %s", peer);
	return fd_steal(&fd);
}

/* Records of Unix sockets: what is possible in itself, among others, and on this machine. */
#include "kind/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

/* ---- In itself ---- */

static int validate_messages(const Rec__Socket *m, struct error **err)
{
	if (m->n_messages && m->content.len)
		return fail(err, EINVAL, "a socket in which two things wait");
	for (size_t i = 0; i < m->n_messages; i++) {
		const Rec__SocketMessage *at = m->messages[i];

		if (at->n_passed > PASSED_MAX)
			return fail(err, EINVAL, "a message with too many descriptors");
		if (!socket_address_fits(&at->sender, AF_UNIX))
			return fail(err, EINVAL, "a message of an impossible sender");
		if (m->type == SOCK_STREAM && !at->data.len)
			return fail(err, EINVAL, "an empty message in a stream");
		/* Only the process itself can write it, and has no others' descriptors. */
		if (at->pid && (at->n_passed || at->pid != m->messages[0]->pid))
			return fail(err, EINVAL, "messages with the credentials of several processes");
	}
	return 0;
}

int unix_validate(const Rec__Socket *m, struct error **err)
{
	bool datagrams = m->type == SOCK_DGRAM;

	if ((m->state == REC__SOCKET__STATE__WAITING || m->state == REC__SOCKET__STATE__RECONNECT ||
	     m->state == REC__SOCKET__STATE__LISTENING) && datagrams)
		return fail(err, EINVAL, "a datagram socket in an impossible state");
	if (m->state == REC__SOCKET__STATE__RECONNECT && !m->peer.len)
		return fail(err, EINVAL, "a socket that is to be connected to nothing");
	if (m->state == REC__SOCKET__STATE__CONNECTED && !datagrams)
		return fail(err, EINVAL, "a stream that is connected by name");
	if (m->n_waiting && m->state != REC__SOCKET__STATE__LISTENING)
		return fail(err, EINVAL, "connections to a socket that does not listen");
	if ((m->accepted && !m->local.len) || (m->to && m->state != REC__SOCKET__STATE__CONNECTED))
		return fail(err, EINVAL, "a socket without the name or the peer that it has");
	if (m->state == REC__SOCKET__STATE__PAIR && !m->pair)
		return fail(err, EINVAL, "one of a pair of sockets that is in none");
	return validate_messages(m, err);
}

/* ---- Among others ---- */

static int bad(struct error **err, const char *what)
{
	return refuse(err, EBADMSG, NULL, "the image contradicts itself: %s", what);
}

static bool is_socket(const struct rebuild *r, uint32_t id)
{
	const struct rebuilt_file *f = rebuilt_file(r, id);

	return f && (f->replaced || unix_record(r, id));
}

static int check_pair(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	const Rec__Socket *other = unix_other_end(r, m);
	size_t ends = 0;

	vec_each(f, &r->files) {
		const Rec__Socket *at = unix_record(r, f->id);

		ends += at && at->state == REC__SOCKET__STATE__PAIR && at->pair == m->pair;
	}
	if (ends > 2 || (m->alone && ends > 1) || !is_socket(r, m->pair) ||
	    (m->alone && m->pair != m->file->id))
		return bad(err, "a pair of sockets with other than two ends");
	if (other && (other->type != m->type || other->state != m->state || other->alone))
		return bad(err, "a pair of two different sockets");
	return 0;
}

static int check_passed(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	for (size_t i = 0; i < m->n_messages; i++)
		for (size_t j = 0; j < m->messages[i]->n_passed; j++) {
			const struct rebuilt_file *f = rebuilt_file(r, m->messages[i]->passed[j]);

			if (!f || (f->kind && f->kind->file && f->kind->file->open_late))
				return bad(err, "a descriptor on its way that is of nothing");
		}
	return 0;
}

static int check_others(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	const Rec__Socket *to = m->to ? unix_record(r, m->to) : NULL;
	const Rec__Socket *read = m->writer ? unix_record(r, m->written_to) : NULL;
	int res = m->state == REC__SOCKET__STATE__PAIR ? check_pair(r, m, err) : 0;

	if (m->to && (!is_socket(r, m->to) || (to && (to->type != SOCK_DGRAM || to == m))))
		return bad(err, "a socket that is connected to none");
	if (m->writer && !(read && read->n_messages && read->messages[0]->pid == m->writer &&
			   rebuilt_task(r, m->writer)))
		return bad(err, "messages that nobody can send");
	for (size_t i = 0; i < m->n_waiting; i++) {
		const Rec__Socket *at = unix_record(r, m->waiting[i]);

		if (!is_socket(r, m->waiting[i]) ||
		    (at && (at->state != REC__SOCKET__STATE__WAITING || at->type != m->type)))
			return bad(err, "a connection that waits and is none");
	}
	if (m->n_messages && m->messages[0]->pid && !unix_has_writer(r, m))
		return bad(err, "messages that nobody sends");
	return res < 0 ? res : check_passed(r, m, err);
}

/* ---- Here and now ---- */

static int check_bound(const Rec__Socket *m, struct error **err)
{
	cleanup_free char *text = socket_address_text(&m->local);
	cleanup_free char *path = unix_path(&m->local);
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
	r = unix_in_directory(m->directory, fd, &m->local, unix_call_connect);
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

static bool is_ours(const struct rebuild *r, const ProtobufCBinaryData *name)
{
	vec_each(f, &r->files) {
		const Rec__Socket *m = unix_record(r, f->id);

		if (m && same_address(&m->local, name))
			return true;
	}
	return false;
}

/* What it has sent is sent in its name, which must be free for that. */
static int check_sender(const struct rebuild *r, const ProtobufCBinaryData *name,
			struct error **err)
{
	cleanup_free char *text = socket_address_text(name);
	cleanup_free char *path = unix_path(name);
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (!name->len || is_ours(r, name) || (path && path[0] != '/'))
		return 0;
	if (path ? lstat(path, &st) < 0 : unix_call_connect(fd, name) == -ECONNREFUSED)
		return 0;
	return refuse(err, EADDRINUSE, path ? "move it away" : "end whoever has it",
		      "a message of the socket %s waits to be read, and cannot be sent in its name, "
		      "which is in use", text);
}

int unix_check(const struct rebuild *r, const Rec__Socket *m, struct error **err)
{
	int res = check_others(r, m, err);

	if (res == 0 && m->local.len)
		res = check_bound(m, err);
	for (size_t i = 0; i < m->n_messages && res == 0; i++)
		if (!unix_other_end(r, m) && !unix_alone(r, m))
			res = check_sender(r, &m->messages[i]->sender, err);
	return res;
}

/*
 * Sockets: which are supported, and what all of them have in common.
 *
 * listen(2) on a Unix socket is left to the task: the kernel tells clients who called it
 * (SO_PEERCRED), and nobody is let in before the program is there.
 */
#include "kind/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "task/description.h"

#ifndef SO_GET_FILTER
#define SO_GET_FILTER SO_ATTACH_FILTER
#endif

static bool socket_claims(const struct file *f)
{
	return f->own >= 0 && S_ISSOCK(f->st.st_mode) && !(f->flags & O_PATH);
}

/* ---- Addresses ---- */

int socket_address(int fd, bool peer, ProtobufCBinaryData *ret)
{
	struct sockaddr_storage address = {0};
	struct sockaddr *at = (struct sockaddr *)&address;
	socklen_t len = sizeof address;
	int r = peer ? getpeername(fd, at, &len) : getsockname(fd, at, &len);

	/* No peer is not an error; a Unix socket without a name has a family only. */
	if (r < 0)
		return peer ? 0 : -errno;
	if (len <= offsetof(struct sockaddr, sa_data))
		return 0;
	ret->data = malloc(len);
	if (!ret->data)
		return -ENOMEM;
	memcpy(ret->data, &address, len);
	ret->len = len;
	return 0;
}

static char *inet_text(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	char name[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, name, sizeof name);
		return str_format("%s:%u", name, ntohs(four->sin_port));
	}
	inet_ntop(AF_INET6, &six->sin6_addr, name, sizeof name);
	return str_format("[%s]:%u", name, ntohs(six->sin6_port));
}

char *socket_address_text(const ProtobufCBinaryData *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address->data;
	const struct sockaddr_un *un = (const struct sockaddr_un *)address->data;
	size_t at = offsetof(struct sockaddr_un, sun_path);

	if (!address->len)
		return strdup("(none)");
	if (any->sa_family == AF_INET || any->sa_family == AF_INET6)
		return inet_text(any);
	if (any->sa_family != AF_UNIX || address->len <= at)
		return strdup("?");
	if (!un->sun_path[0])
		return str_format("@%.*s", (int)(address->len - at - 1), un->sun_path + 1);
	return str_format("%.*s", (int)(address->len - at), un->sun_path);
}

/* ---- Capture ---- */

static const char *family_name(uint32_t family)
{
	switch (family) {
	case AF_PACKET:
		return "packet";
	case AF_ALG:
		return "kernel cryptography (AF_ALG)";
	case AF_BLUETOOTH:
		return "Bluetooth";
	case AF_CAN:
		return "CAN";
	case AF_VSOCK:
		return "virtual machine (AF_VSOCK)";
	case AF_XDP:
		return "XDP";
	default:
		return NULL;
	}
}

static int read_number(int fd, int name, uint32_t *ret)
{
	int value = 0;
	socklen_t len = sizeof value;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0)
		return -errno;
	*ret = (uint32_t)value;
	return 0;
}

/* A filter program could be read only with a privilege, and must not be lost. */
static bool has_filter(int fd)
{
	socklen_t len = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0)
		return errno == EACCES;
	return len > 0;
}

static int capture_by_family(struct capture *c, struct file *f, Rec__Socket *m, struct error **err)
{
	const char *family = family_name(m->family);

	if (has_filter(f->own))
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a socket with a filter program, which is not supported",
			      f->fd);
	if (m->family == AF_INET || m->family == AF_INET6)
		return inet_capture(c, f, m, err);
	if (m->family == AF_UNIX)
		return unix_capture(c, f, m, err);
	if (m->family == AF_NETLINK)
		return netlink_capture(f, m, err);
	if (family)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is a %s socket, which is not supported", f->fd, family);
	return refuse(err, ENOTSUP, NULL,
		      "descriptor %d is a socket of family %u, which is not supported", f->fd,
		      m->family);
}

static int socket_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			  struct error **err)
{
	Rec__Socket *m = kind_message(&kind_socket);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	if (read_number(f->own, SO_DOMAIN, &m->family) < 0 ||
	    read_number(f->own, SO_TYPE, &m->type) < 0 ||
	    read_number(f->own, SO_PROTOCOL, &m->protocol) < 0)
		r = fail_errno(err, errno, "descriptor %d: cannot read what socket it is", f->fd);
	else
		r = capture_by_family(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

/* ---- The record ---- */

bool socket_address_fits(const ProtobufCBinaryData *address, uint32_t family)
{
	const struct sockaddr *any = (const struct sockaddr *)address->data;

	if (!address->len)
		return true;
	if (address->len <= offsetof(struct sockaddr, sa_data) || any->sa_family != family)
		return false;
	if (family == AF_INET)
		return address->len == sizeof(struct sockaddr_in);
	if (family == AF_INET6)
		return address->len == sizeof(struct sockaddr_in6);
	return address->len <= sizeof(struct sockaddr_un) + 1;
}

static int socket_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)message;
	bool un = m->family == AF_UNIX;

	if (m->family == AF_NETLINK)
		return netlink_validate(m, err);
	if (m->family != AF_INET && m->family != AF_INET6 && !un)
		return fail(err, EINVAL, "a socket of an unknown family");
	if (m->type != SOCK_STREAM && m->type != SOCK_DGRAM && m->type != SOCK_SEQPACKET)
		return fail(err, EINVAL, "a socket of an unknown type");
	if (!socket_address_fits(&m->local, m->family) ||
	    !socket_address_fits(&m->peer, m->family))
		return fail(err, EINVAL, "a socket with an impossible address");
	if (!protobuf_c_enum_descriptor_get_value(&rec__socket__state__descriptor, (int)m->state) ||
	    m->shutdown > 3 || m->standard > 3)
		return fail(err, EINVAL, "a socket in an impossible state");
	if ((m->state == REC__SOCKET__STATE__PAIR && !un) ||
	    (m->state == REC__SOCKET__STATE__CONNECTED && !m->peer.len))
		return fail(err, EINVAL, "a socket that is connected to nothing");
	if (!un && !inet_is_consistent(m))
		return fail(err, EINVAL, "a network socket in an impossible state");
	if (m->directory[0] && m->directory[0] != '/')
		return fail(err, EINVAL, "a socket in a relative directory");
	if (un ? unix_validate(m, err) < 0 : m->n_messages || m->n_waiting || m->hole || m->writer)
		return un ? -EINVAL : fail(err, EINVAL, "a socket with what only Unix sockets have");
	return socket_options_validate(m, err);
}

static int socket_check(const struct rebuild *r, const ProtobufCMessage *message,
			struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)message;

	if (m->standard)
		return standard_check(r, m->standard - 1, m->file->flags, err);
	if (m->hole)
		return hole_check(r, m->file->id, err);
	if (m->family == AF_NETLINK)
		return netlink_check(m, err);
	return m->family == AF_UNIX ? unix_check(r, m, err) : inet_check(r, m, err);
}

/* ---- Restore ---- */

int socket_make(const Rec__Socket *m, struct error **err)
{
	int fd = socket((int)m->family, (int)m->type | SOCK_CLOEXEC, (int)m->protocol);
	int r;

	if (fd < 0)
		return fail_errno(err, errno, "cannot make a socket");
	r = socket_options_set(fd, m, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int socket_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)f->message;
	int fd;

	if (m->standard)
		fd = standard_open(r, m->standard - 1, m->file->flags, err);
	else if (m->family == AF_NETLINK)
		fd = netlink_open(m, err);
	else
		fd = m->family == AF_UNIX ? unix_open(r, m, err) : inet_open(r, m, err);
	if (fd < 0)
		return fd;
	f->fd = fd;
	if (m->standard)
		return 0;
	return description_set_status(fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

static int socket_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	static const int how[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
	const Rec__Socket *m = (const Rec__Socket *)f->message;
	int k;

	if (m->family == AF_UNIX)
		return unix_fill_done(r, f, err);
	k = m->standard || m->family == AF_NETLINK ? 0 : inet_fill_done(r, m, f->fd, err);
	if (k < 0)
		return k;
	if (m->standard || m->alone || !m->shutdown || shutdown(f->fd, how[m->shutdown]) == 0)
		return 0;
	return fail_errno(err, errno, "cannot shut a socket down");
}

/* Who has to write what another one will read. */
static uint32_t socket_settler(const ProtobufCMessage *message)
{
	return ((const Rec__Socket *)message)->writer;
}

static int socket_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *message,
			 int fd, struct batch *b, struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)message;

	(void)t;
	if (m->state == REC__SOCKET__STATE__LISTENING && m->family == AF_UNIX)
		batch_call(b, 0, SYS_listen, (uint64_t)fd, m->backlog);
	return m->family == AF_UNIX ? unix_settle(r, m, fd, b, err) : 0;
}

static int socket_may_end(const struct file *f, const ProtobufCMessage *message, struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)message;

	return m->repair ? tcp_repair_may_end(f, m, err) : 0;
}

static int socket_release(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Socket *m = (const Rec__Socket *)f->message;

	return m->repair && !r->options->tcp_close ? tcp_repair_finish(f->fd, m, err) : 0;
}

static void socket_undo(const struct rebuild *r, const ProtobufCMessage *message)
{
	const Rec__Socket *m = (const Rec__Socket *)message;

	if (m->family == AF_UNIX && m->file)
		unix_undo(r, m);
}

static void socket_ended(struct file *f, const ProtobufCMessage *message)
{
	const Rec__Socket *m = (const Rec__Socket *)message;

	if (m->family == AF_INET || m->family == AF_INET6)
		tcp_ended(f, m);
}

const struct kind kind_socket = {
	.name = "socket",
	.tag = 141,
	.schema = &rec__socket__descriptor,
	.file = &(const struct file_ops){
		.claims = socket_claims,
		.discover = queue_discover,
		.capture = socket_capture,
		.validate = socket_validate,
		.check = socket_check,
		.open = socket_open,
		.fill_done = socket_fill_done,
		.settle = socket_settle,
		.settler = socket_settler,
		.release = socket_release,
		.may_end = socket_may_end,
		.ended = socket_ended,
		.undo = socket_undo,
	},
};

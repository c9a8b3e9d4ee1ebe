/*
 * Netlink sockets.  The kernel, at the other end, keeps nothing of one but what it listens to: so
 * where nothing is under way it is made anew, with its number and its groups.  Of generic
 * netlink and others the kernel may keep more than it tells: refused by name.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/append.h"

#define GROUPS_MAX 1024u

static const char *const names[] = {
	[NETLINK_ROUTE] = "route",
	[NETLINK_SOCK_DIAG] = "sock_diag",
	[NETLINK_XFRM] = "xfrm",
	[NETLINK_AUDIT] = "audit",
	[NETLINK_CONNECTOR] = "connector",
	[NETLINK_NETFILTER] = "netfilter",
	[NETLINK_KOBJECT_UEVENT] = "uevent",
	[NETLINK_GENERIC] = "generic",
	[NETLINK_CRYPTO] = "crypto",
};

static const char *name_of(uint32_t protocol)
{
	return protocol < sizeof names / sizeof names[0] && names[protocol] ? names[protocol]
									    : "other";
}

static bool is_carried(uint32_t protocol)
{
	return protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG ||
	       protocol == NETLINK_KOBJECT_UEVENT;
}

/* ---- Capture ---- */

/* The kernel is in the middle of a list that is longer than the socket has room for. */
static bool is_dumping(const struct file *f)
{
	cleanup_free char *text = NULL;
	unsigned long inode;
	int dump;

	if (fd_slurp(f->task->proc, "net/netlink", &text) < 0)
		return false;
	for (const char *line = text; (line = strchr(line, '\n')) && *++line;)
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %d %*s %*s %lu", &dump, &inode) == 2 &&
		    inode == f->st.st_ino)
			return dump != 0;
	return false;
}

static int capture_groups(const struct file *f, Rec__Socket *m, struct error **err)
{
	uint32_t bits[GROUPS_MAX / 32] = {0};
	socklen_t len = sizeof bits;

	if (getsockopt(f->own, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, bits, &len) < 0 ||
	    len > sizeof bits)
		return refuse(err, ENOTSUP, NULL, "descriptor %d is a netlink socket that does not tell "
			      "what it listens to", f->fd);
	m->groups = calloc(GROUPS_MAX, sizeof *m->groups);
	if (!m->groups)
		return fail(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < GROUPS_MAX; i++)
		if (bits[i / 32] >> i % 32 & 1)
			m->groups[m->n_groups++] = i + 1;
	return 0;
}

int netlink_capture(struct file *f, Rec__Socket *m, struct error **err)
{
	struct pollfd p = {.fd = f->own, .events = POLLIN};
	struct sockaddr_nl local = {0}, peer = {0};
	socklen_t len = sizeof local, peer_len = sizeof peer;

	if (!is_carried(m->protocol))
		return refuse(err, ENOTSUP, "close it, or do without it",
			      "descriptor %d is a netlink socket (%s, protocol %u), which is not "
			      "supported", f->fd, name_of(m->protocol), m->protocol);
	if ((poll(&p, 1, 0) == 1 && p.revents) || is_dumping(f))
		return refuse(err, EBUSY, "try again when the program has read them",
			      "descriptor %d is a netlink socket (%s) with messages that nobody has "
			      "read yet", f->fd, name_of(m->protocol));
	if (getsockname(f->own, (struct sockaddr *)&local, &len) < 0 ||
	    getpeername(f->own, (struct sockaddr *)&peer, &peer_len) < 0)
		return fail_errno(err, errno, "descriptor %d: the address of a netlink socket", f->fd);
	if (peer.nl_pid || peer.nl_groups)
		return refuse(err, ENOTSUP, NULL, "descriptor %d is a netlink socket connected to "
			      "another one, which is not supported", f->fd);
	/* Its groups are told one by one: there are more than an address has bits. */
	local.nl_groups = 0;
	if (local.nl_pid && bytes_set(&m->local, &local, sizeof local) < 0)
		return fail(err, ENOMEM, "out of memory");
	if (capture_groups(f, m, err) < 0)
		return -ENOTSUP;
	return socket_options_capture(f->own, m, err);
}

/* ---- The record ---- */

int netlink_validate(const Rec__Socket *m, struct error **err)
{
	const struct sockaddr_nl *local = (const struct sockaddr_nl *)m->local.data;

	if ((m->type != SOCK_RAW && m->type != SOCK_DGRAM) || !is_carried(m->protocol) ||
	    m->state != REC__SOCKET__STATE__UNCONNECTED || m->peer.len || m->shutdown ||
	    m->standard || m->content.len || m->other || m->alone || m->repair)
		return fail(err, EINVAL, "a netlink socket in an impossible state");
	if (m->n_messages || m->n_waiting || m->hole || m->writer)
		return fail(err, EINVAL, "a socket with what only Unix sockets have");
	if (m->local.len && (m->local.len != sizeof *local || local->nl_family != AF_NETLINK))
		return fail(err, EINVAL, "a netlink socket with an impossible address");
	for (size_t i = 0; i < m->n_groups; i++)
		if (!m->groups[i] || m->groups[i] > GROUPS_MAX)
			return fail(err, EINVAL, "a netlink socket with an impossible group");
	return socket_options_validate(m, err);
}

/* ---- Check and restore ---- */

static int bind_number(int fd, const Rec__Socket *m, struct error **err)
{
	const struct sockaddr_nl *local = (const struct sockaddr_nl *)m->local.data;

	if (!m->local.len || bind(fd, (const struct sockaddr *)local, sizeof *local) == 0)
		return 0;
	return refuse(err, errno, errno == EADDRINUSE ? "end whoever has it" : NULL,
		      "the number %u of a netlink socket (%s) %s", local->nl_pid,
		      name_of(m->protocol), errno == EADDRINUSE ? "is in use" : "cannot be used");
}

int netlink_check(const Rec__Socket *m, struct error **err)
{
	cleanup_close int fd = socket_make(m, err);

	return fd < 0 ? fd : bind_number(fd, m, err);
}

int netlink_open(const Rec__Socket *m, struct error **err)
{
	cleanup_close int fd = socket_make(m, err);
	int r = fd < 0 ? fd : bind_number(fd, m, err);

	for (size_t i = 0; i < m->n_groups && r == 0; i++) {
		int group = (int)m->groups[i];

		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
			r = fail_errno(err, errno, "a netlink socket (%s) cannot listen to group %d",
				       name_of(m->protocol), group);
	}
	return r < 0 ? r : fd_steal(&fd);
}

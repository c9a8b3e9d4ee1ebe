/* What the kernel tells of a Unix socket through netlink (sock_diag(7)), and nothing else does. */
#include "kind/socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

/* An attribute cannot be longer than that. */
#define WAITING_SIZE 70000u

static int ask(int fd, uint32_t inode, uint32_t show)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req req;
	} message = {
		.head = {
			.nlmsg_len = sizeof message,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.req = {
			.sdiag_family = AF_UNIX,
			.udiag_states = UINT32_MAX,
			.udiag_ino = inode,
			.udiag_show = show,
			.udiag_cookie = {UINT32_MAX, UINT32_MAX}, /* any */
		},
	};

	return send(fd, &message, sizeof message, 0) < 0 ? -errno : 0;
}

static void take(const struct rtattr *a, struct unix_state *s)
{
	struct unix_diag_rqlen queue;
	struct unix_diag_vfs vfs;

	if (a->rta_type == UNIX_DIAG_SHUTDOWN && RTA_PAYLOAD(a) >= 1) {
		s->shutdown = *(const uint8_t *)RTA_DATA(a);
	} else if (a->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(a) >= sizeof s->peer) {
		memcpy(&s->peer, RTA_DATA(a), sizeof s->peer);
		s->connected = true;
	} else if (a->rta_type == UNIX_DIAG_VFS && RTA_PAYLOAD(a) >= sizeof vfs) {
		memcpy(&vfs, RTA_DATA(a), sizeof vfs);
		s->file = vfs.udiag_vfs_ino;
	} else if (a->rta_type == UNIX_DIAG_RQLEN && RTA_PAYLOAD(a) >= sizeof queue) {
		memcpy(&queue, RTA_DATA(a), sizeof queue);
		s->queued = queue.udiag_rqueue;
		s->backlog = queue.udiag_wqueue;
	}
}

/* The kernel's answer in a buffer of that size: its attributes are at *ret, *ret_left bytes. */
static int question(uint32_t inode, uint32_t show, void *buf, size_t size,
		    const struct rtattr **ret, int *ret_left)
{
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	const struct nlmsghdr *head = buf;
	const struct unix_diag_msg *m = NLMSG_DATA(head);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	r = ask(fd, inode, show);
	if (r < 0)
		return r;
	n = recv(fd, buf, size, 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(head, (size_t)n))
		return -EPROTO;
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -ENOENT; /* an error message: there is no such socket here */
	*ret = (const struct rtattr *)(m + 1);
	*ret_left = (int)(head->nlmsg_len - NLMSG_LENGTH(sizeof *m));
	return m->udiag_state == 10; /* TCP_LISTEN, for Unix sockets too */
}

int unix_state(uint32_t inode, struct unix_state *ret)
{
	_Alignas(struct nlmsghdr) char buf[4096];
	const struct rtattr *a = NULL;
	struct unix_state s = {0};
	int left = 0, r = question(inode, UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN, buf,
			       sizeof buf, &a, &left);

	if (r < 0)
		return r;
	s.listening = r > 0;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		take(a, &s);
	*ret = s;
	return 0;
}

int unix_waiting(uint32_t inode, uint32_t **ret)
{
	cleanup_free char *buf = malloc(WAITING_SIZE);
	const struct rtattr *a = NULL;
	int left = 0, r;

	*ret = NULL;
	if (!buf)
		return -ENOMEM;
	r = question(inode, UDIAG_SHOW_ICONS, buf, WAITING_SIZE, &a, &left);
	if (r < 0)
		return r;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type != UNIX_DIAG_ICONS)
			continue;
		*ret = malloc(RTA_PAYLOAD(a) + 1);
		if (!*ret)
			return -ENOMEM;
		memcpy(*ret, RTA_DATA(a), RTA_PAYLOAD(a));
		return (int)(RTA_PAYLOAD(a) / sizeof **ret);
	}
	return 0;
}

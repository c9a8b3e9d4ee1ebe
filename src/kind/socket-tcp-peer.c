/* Who has the other end of a TCP connection: what the kernel tells by sock_diag(7), and /proc. */
#include "kind/socket.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"

/* All of /proc is looked through for a name; a server with many clients is told those of a few. */
#define NAMES_MAX 8u

/* ---- The other end ---- */

/* IPv4 in either clothing is the same to TCP. */
static bool plain(const ProtobufCBinaryData *address, uint32_t ip[4], uint16_t *port)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address->data;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address->data;

	memset(ip, 0, 4 * sizeof *ip);
	if (address->len >= sizeof *six && six->sin6_family == AF_INET6) {
		*port = six->sin6_port;
		memcpy(ip, &six->sin6_addr, sizeof six->sin6_addr);
		if (!IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
			return true;
		ip[0] = ip[3];
		ip[1] = ip[2] = ip[3] = 0;
		return false;
	}
	if (address->len >= sizeof *four) {
		*port = four->sin_port;
		ip[0] = four->sin_addr.s_addr;
	}
	return false;
}

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

/* From and to as the socket that is asked for sees them; to may be NULL: one that listens. */
static void ask_for(const ProtobufCBinaryData *from, const ProtobufCBinaryData *to,
		    struct question *q)
{
	struct inet_diag_sockid *id = &q->req.id;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from->data;
	bool is_six;

	*q = (struct question){
		.head = {
			.nlmsg_len = sizeof *q,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.req = {
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = UINT32_MAX,
			.id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
		},
	};
	is_six = plain(from, id->idiag_src, &id->idiag_sport);
	if (to)
		plain(to, id->idiag_dst, &id->idiag_dport);
	q->req.sdiag_family = is_six ? AF_INET6 : AF_INET;
	if (is_six)
		id->idiag_if = six->sin6_scope_id;
}

static int ask(const ProtobufCBinaryData *from, const ProtobufCBinaryData *to,
	       struct inet_diag_msg *ret)
{
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	_Alignas(struct nlmsghdr) char buf[4096];
	const struct nlmsghdr *head = (const struct nlmsghdr *)buf;
	struct question q;
	ssize_t n;

	ask_for(from, to, &q);
	if (fd < 0 || send(fd, &q, sizeof q, 0) < 0)
		return -errno;
	n = recv(fd, buf, sizeof buf, 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(head, (size_t)n) || head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    head->nlmsg_len < NLMSG_LENGTH(sizeof *ret))
		return -ENOENT;
	memcpy(ret, NLMSG_DATA(head), sizeof *ret);
	/* Where there is no connection the kernel tells of who listens there. */
	return ret->id.idiag_dport == q.req.id.idiag_dport ? 0 : -ENOENT;
}

int tcp_other_end(const Rec__Socket *m, struct tcp_end *ret)
{
	struct inet_diag_msg answer = {0};
	/* What is the peer to one is local to the other. */
	int r = ask(&m->peer, &m->local, &answer);

	if (r == 0)
		*ret = (struct tcp_end){answer.idiag_state, answer.idiag_inode, answer.idiag_uid};
	return r;
}

bool tcp_was_accepted(const Rec__Socket *m)
{
	struct inet_diag_msg answer = {0};

	return ask(&m->local, NULL, &answer) == 0 && answer.idiag_state == 10; /* TCP_LISTEN */
}

bool inet_is_local(const ProtobufCBinaryData *address)
{
	struct sockaddr_storage any = {0};
	cleanup_close int fd = -1;

	if (address->len > sizeof any)
		return false;
	memcpy(&any, address->data, address->len);
	if (any.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&any)->sin6_port = 0;
	else
		((struct sockaddr_in *)&any)->sin_port = 0;
	fd = socket(any.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && bind(fd, (struct sockaddr *)&any, (socklen_t)address->len) == 0;
}

/* ---- Its name ---- */

/* One process has the other ends of many: known by what it is reached at. */
static pid_t known_holder(struct capture *c, const Rec__Socket *m, uint32_t inode)
{
	uint32_t ip[4];
	uint16_t port = 0;
	uint64_t key[2];
	size_t known = 0;
	struct holder holder = {0};

	plain(&m->peer, ip, &port);
	key[0] = ((uint64_t)port << 32) ^ ip[0] ^ ((uint64_t)ip[1] << 16);
	key[1] = (uint64_t)ip[2] << 32 | ip[3];
	vec_each(s, &c->shared) {
		if (s->space != SPACE_TCP_PEERS)
			continue;
		if (s->key[0] == key[0] && s->key[1] == key[1])
			return (pid_t)s->owner;
		known++;
	}
	if (known >= NAMES_MAX)
		return 0;
	holder_of_socket(c, inode, &holder);
	capture_share(c, SPACE_TCP_PEERS, key[0], key[1], (uint32_t)holder.pid);
	return holder.pid;
}

char *tcp_holder(struct capture *c, const Rec__Socket *m, const struct tcp_end *end)
{
	char name[17];
	pid_t pid;

	if (!end->inode)
		return strdup("a server here that has not accepted it yet");
	pid = known_holder(c, m, end->inode);
	if (!pid)
		return str_format("a process here of user %u", end->uid);
	holder_name(pid, name);
	return str_format("process %d (%s)", pid, name);
}

/*
 * Socket options.  Only those are kept that a new socket would not have: what the
 * program set, and not what the machine's defaults were.
 */
#include "kind/socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define VALUE_MAX 64u

/* Newer than the headers of some C libraries. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_RECVFRAGSIZE
#define IPV6_RECVFRAGSIZE 77
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define DATAGRAMS (-1)

struct option {
	int family;   /* 0: all; AF_INET: and AF_INET6, whose sockets speak IPv4 too */
	int protocol; /* 0: all; DATAGRAMS: not TCP */
	int level, name;
	const char *label;
};

#define OPTION(family, protocol, level, name) {family, protocol, level, name, #name}

static const struct option options[] = {
	OPTION(0, 0, SOL_SOCKET, SO_REUSEADDR),
	OPTION(0, 0, SOL_SOCKET, SO_REUSEPORT),
	OPTION(0, 0, SOL_SOCKET, SO_KEEPALIVE),
	OPTION(0, 0, SOL_SOCKET, SO_BROADCAST),
	OPTION(0, 0, SOL_SOCKET, SO_OOBINLINE),
	OPTION(0, 0, SOL_SOCKET, SO_LINGER),
	OPTION(0, 0, SOL_SOCKET, SO_RCVLOWAT),
	OPTION(0, 0, SOL_SOCKET, SO_RCVTIMEO),
	OPTION(0, 0, SOL_SOCKET, SO_SNDTIMEO),
	OPTION(0, 0, SOL_SOCKET, SO_SNDBUF),
	OPTION(0, 0, SOL_SOCKET, SO_RCVBUF),
	OPTION(0, 0, SOL_SOCKET, SO_TIMESTAMP),
	OPTION(0, 0, SOL_SOCKET, SO_TIMESTAMPNS),
	OPTION(0, 0, SOL_SOCKET, SO_TIMESTAMPING),
	OPTION(0, 0, SOL_SOCKET, SO_PASSCRED),
	OPTION(0, 0, SOL_SOCKET, SO_PASSSEC),
	OPTION(AF_UNIX, 0, SOL_SOCKET, SO_PASSPIDFD),
	OPTION(AF_UNIX, 0, SOL_SOCKET, SO_PASSRIGHTS),
	OPTION(0, 0, SOL_SOCKET, SO_DONTROUTE),
	OPTION(0, 0, SOL_SOCKET, SO_MARK),
	OPTION(0, 0, SOL_SOCKET, SO_BINDTODEVICE),
	OPTION(0, 0, SOL_SOCKET, SO_RXQ_OVFL),
	OPTION(0, 0, SOL_SOCKET, SO_BUSY_POLL),
	OPTION(0, 0, SOL_SOCKET, SO_ZEROCOPY),
	OPTION(0, 0, SOL_SOCKET, SO_NO_CHECK),
	OPTION(0, 0, SOL_SOCKET, SO_PEEK_OFF),
	OPTION(0, 0, SOL_SOCKET, SO_MAX_PACING_RATE),
	OPTION(0, 0, SOL_SOCKET, SO_SELECT_ERR_QUEUE),
	OPTION(0, 0, SOL_SOCKET, SO_PREFER_BUSY_POLL),
	OPTION(0, 0, SOL_SOCKET, SO_RCVMARK),
	OPTION(0, 0, SOL_SOCKET, SO_TXREHASH),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_TOS),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_TTL),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_MTU_DISCOVER),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVERR),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_PKTINFO),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVTTL),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVTOS),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_FREEBIND),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_TRANSPARENT),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_LOCAL_PORT_RANGE),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_MINTTL),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVOPTS),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RETOPTS),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVORIGDSTADDR),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_RECVFRAGSIZE),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_PASSSEC),
	OPTION(AF_INET, 0, IPPROTO_IP, IP_UNICAST_IF),
	OPTION(AF_INET, DATAGRAMS, IPPROTO_IP, IP_MULTICAST_IF),
	OPTION(AF_INET, DATAGRAMS, IPPROTO_IP, IP_MULTICAST_TTL),
	OPTION(AF_INET, DATAGRAMS, IPPROTO_IP, IP_MULTICAST_LOOP),
	OPTION(AF_INET, DATAGRAMS, IPPROTO_IP, IP_MULTICAST_ALL),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_V6ONLY),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_TCLASS),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_DONTFRAG),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVERR),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVPKTINFO),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVTCLASS),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVRTHDR),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVHOPOPTS),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVDSTOPTS),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVPATHMTU),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_RECVFRAGSIZE),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_MINHOPCOUNT),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_FREEBIND),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_TRANSPARENT),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES),
	OPTION(AF_INET6, 0, IPPROTO_IPV6, IPV6_UNICAST_IF),
	OPTION(AF_INET6, DATAGRAMS, IPPROTO_IPV6, IPV6_MULTICAST_ALL),
	OPTION(AF_INET6, DATAGRAMS, IPPROTO_IPV6, IPV6_MULTICAST_IF),
	OPTION(AF_INET6, DATAGRAMS, IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
	OPTION(AF_INET6, DATAGRAMS, IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_NODELAY),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_CORK),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_KEEPIDLE),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_KEEPINTVL),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_KEEPCNT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_SYNCNT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_LINGER2),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_DEFER_ACCEPT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_WINDOW_CLAMP),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_USER_TIMEOUT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_CONGESTION),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_FASTOPEN),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_SAVE_SYN),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_MAXSEG),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE),
	OPTION(0, IPPROTO_TCP, IPPROTO_TCP, TCP_INQ),
	OPTION(0, IPPROTO_UDP, IPPROTO_UDP, UDP_CORK),
	OPTION(0, IPPROTO_UDP, IPPROTO_UDP, UDP_SEGMENT),
	OPTION(0, IPPROTO_UDP, IPPROTO_UDP, UDP_GRO),
	OPTION(0, IPPROTO_UDP, IPPROTO_UDP, UDP_NO_CHECK6_TX),
	OPTION(0, IPPROTO_UDP, IPPROTO_UDP, UDP_NO_CHECK6_RX),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_PKTINFO),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_BROADCAST_ERROR),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_NO_ENOBUFS),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_CAP_ACK),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_EXT_ACK),
	OPTION(AF_NETLINK, 0, SOL_NETLINK, NETLINK_GET_STRICT_CHK),
	OPTION(0, 0, SOL_SOCKET, SO_PRIORITY), /* which IP_TOS sets as well */
};

static bool applies(const struct option *o, const Rec__Socket *m)
{
	bool inet = m->family == AF_INET || m->family == AF_INET6;

	if (o->protocol == DATAGRAMS ? m->type != SOCK_DGRAM
				     : o->protocol && (!inet || o->protocol != (int)m->protocol))
		return false;
	/* Of a connection the kernel tells here what it has come to by itself. */
	if (m->state == REC__SOCKET__STATE__ESTABLISHED && o->level == IPPROTO_TCP &&
	    (o->name == TCP_WINDOW_CLAMP || o->name == TCP_MAXSEG))
		return false;
	return !o->family || o->family == (int)m->family || (o->family == AF_INET && inet);
}

static const struct option *find(uint32_t level, uint32_t name)
{
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if ((uint32_t)options[i].level == level && (uint32_t)options[i].name == name)
			return &options[i];
	return NULL;
}

static int keep(Rec__Socket *m, const struct option *o, const void *value, size_t len)
{
	Rec__SocketOption *option = malloc(sizeof *option);

	if (!option)
		return -ENOMEM;
	rec__socket_option__init(option);
	option->level = (uint32_t)o->level;
	option->name = (uint32_t)o->name;
	option->value.data = malloc(len);
	if (!option->value.data) {
		free(option);
		return -ENOMEM;
	}
	memcpy(option->value.data, value, len);
	option->value.len = len;
	m->options[m->n_options++] = option;
	return 0;
}

/* The program has chosen it; else the kernel sizes it, of TCP anew all the time. */
static bool is_chosen(int fd, const struct option *o)
{
	int locked = 0, bit = o->name == SO_SNDBUF ? 1 : 2;
	socklen_t len = sizeof locked;

	if (o->level != SOL_SOCKET || (o->name != SO_SNDBUF && o->name != SO_RCVBUF))
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &len) < 0 || (locked & bit);
}

static int capture_option(int fd, int fresh, const struct option *o, Rec__Socket *m)
{
	unsigned char value[VALUE_MAX] = {0}, usual[VALUE_MAX] = {0};
	socklen_t len = sizeof value, usual_len = sizeof usual;

	if (!is_chosen(fd, o) || getsockopt(fd, o->level, o->name, value, &len) < 0 || len == 0)
		return 0;
	if (getsockopt(fresh, o->level, o->name, usual, &usual_len) == 0 && usual_len == len &&
	    !memcmp(value, usual, len))
		return 0;
	return keep(m, o, value, len);
}

int socket_options_capture(int fd, Rec__Socket *m, struct error **err)
{
	cleanup_close int fresh = socket((int)m->family, (int)m->type | SOCK_CLOEXEC,
					 (int)m->protocol);

	if (fresh < 0)
		return fail_errno(err, errno, "cannot make a socket to compare with");
	m->options = calloc(sizeof options / sizeof options[0], sizeof *m->options);
	if (!m->options)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (applies(&options[i], m) && capture_option(fd, fresh, &options[i], m) < 0)
			return fail(err, ENOMEM, "out of memory");
	return 0;
}

int socket_options_validate(const Rec__Socket *m, struct error **err)
{
	for (size_t i = 0; i < m->n_options; i++) {
		const Rec__SocketOption *o = m->options[i];

		if (!find(o->level, o->name) || !o->value.len || o->value.len > VALUE_MAX)
			return fail(err, EINVAL, "a socket with an unknown option (%u, %u)",
				    o->level, o->name);
	}
	return 0;
}

int socket_option_number(const Rec__Socket *m, int level, int name, int usual)
{
	for (size_t i = 0; i < m->n_options; i++)
		if (m->options[i]->level == (uint32_t)level && m->options[i]->name == (uint32_t)name &&
		    m->options[i]->value.len == sizeof usual)
			memcpy(&usual, m->options[i]->value.data, sizeof usual);
	return usual;
}

static bool is_buffer_size(const Rec__SocketOption *o)
{
	return o->level == SOL_SOCKET && (o->name == SO_SNDBUF || o->name == SO_RCVBUF) &&
	       o->value.len == sizeof(int);
}

int socket_options_set(int fd, const Rec__Socket *m, struct error **err)
{
	for (size_t i = 0; i < m->n_options; i++) {
		const Rec__SocketOption *o = m->options[i];
		unsigned char value[VALUE_MAX];
		int size;

		memcpy(value, o->value.data, o->value.len);
		/* The kernel doubles what it is given, and shows that. */
		if (is_buffer_size(o)) {
			memcpy(&size, value, sizeof size);
			size /= 2;
			memcpy(value, &size, sizeof size);
		}
		if (setsockopt(fd, (int)o->level, (int)o->name, value,
			       (socklen_t)o->value.len) < 0)
			return fail_errno(err, errno, "cannot set %s of a socket",
					  find(o->level, o->name)->label);
	}
	return 0;
}

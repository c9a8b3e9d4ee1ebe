/*
 * Options of network sockets: what was set is as it was, and so is what was not; of sockets that
 * are only made, that listen, that are connected, and of datagrams.
 */
#include <netinet/udp.h>
#include <sys/time.h>

#include "tcp.h"

struct option {
	int level, name, value;
};

#define SIX (-2) /* level: IPPROTO_IPV6, on sockets of that family only */

static const struct option all[] = {
	{SOL_SOCKET, SO_REUSEADDR, 1},
	{SOL_SOCKET, SO_REUSEPORT, 1},
	{SOL_SOCKET, SO_KEEPALIVE, 1},
	{SOL_SOCKET, SO_OOBINLINE, 1},
	{SOL_SOCKET, SO_BROADCAST, 1},
	{SOL_SOCKET, SO_RCVLOWAT, 3},
	{SOL_SOCKET, SO_SNDBUF, 20000},
	{SOL_SOCKET, SO_RCVBUF, 30000},
	{SOL_SOCKET, SO_TIMESTAMPNS, 1},
	{SOL_SOCKET, SO_DONTROUTE, 1},
	{SOL_SOCKET, SO_PRIORITY, 5},
	{IPPROTO_IP, IP_TOS, 0x10},
	{IPPROTO_IP, IP_TTL, 77},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO},
	{IPPROTO_IP, IP_RECVERR, 1},
	{IPPROTO_IP, IP_FREEBIND, 1},
	{SIX, IPV6_UNICAST_HOPS, 55},
	{SIX, IPV6_TCLASS, 0x20},
	{SIX, IPV6_RECVERR, 1},
	{SIX, IPV6_RECVPKTINFO, 1},
	{SIX, IPV6_V6ONLY, 1},
};

static const struct option tcp[] = {
	{IPPROTO_TCP, TCP_NODELAY, 1},
	{IPPROTO_TCP, TCP_KEEPIDLE, 111},
	{IPPROTO_TCP, TCP_KEEPINTVL, 22},
	{IPPROTO_TCP, TCP_KEEPCNT, 3},
	{IPPROTO_TCP, TCP_SYNCNT, 4},
	{IPPROTO_TCP, TCP_LINGER2, 44},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 5555},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 6666},
};

static const struct option udp[] = {
	{IPPROTO_IP, IP_PKTINFO, 1},
	{IPPROTO_IP, IP_MULTICAST_TTL, 9},
	{IPPROTO_IP, IP_MULTICAST_LOOP, 0},
	{IPPROTO_UDP, UDP_SEGMENT, 1000},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define VALUES (COUNT(all) + COUNT(tcp) + COUNT(udp) + 3)

struct socket {
	int fd, family;
	bool stream;
	unsigned char values[VALUES][32];
};

static void set_all(const struct socket *s, const struct option *o, size_t count)
{
	for (size_t i = 0; i < count; i++, o++) {
		int level = o->level == SIX ? IPPROTO_IPV6 : o->level;

		if (o->level == SIX && s->family != AF_INET6)
			continue;
		if (setsockopt(s->fd, level, o->name, &o->value, sizeof(o->value)) < 0) {
			printf("option %d, %d\n", o->level, o->name);
			CHECK(!"set");
		}
	}
}

static void set(struct socket *s)
{
	struct timeval second = {1, 500000}, third = {2, 250000};
	struct linger linger = {1, 7};

	set_all(s, all, COUNT(all));
	set_all(s, s->stream ? tcp : udp, s->stream ? COUNT(tcp) : COUNT(udp));
	CHECK(setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == 0);
	CHECK(setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &third, sizeof(third)) == 0);
	CHECK(setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}

static size_t read_some(const struct socket *s, const struct option *o, size_t count,
			unsigned char values[][32])
{
	for (size_t i = 0; i < count; i++) {
		socklen_t len = 32;

		memset(values[i], 0, 32);
		getsockopt(s->fd, o[i].level == SIX ? IPPROTO_IPV6 : o[i].level, o[i].name, values[i],
			   &len);
	}
	return count;
}

static void read_all(const struct socket *s, unsigned char values[VALUES][32])
{
	static const struct option others[] = {
		{SOL_SOCKET, SO_RCVTIMEO, 0}, {SOL_SOCKET, SO_SNDTIMEO, 0}, {SOL_SOCKET, SO_LINGER, 0},
	};
	size_t at = read_some(s, all, COUNT(all), values);

	memset(values[at], 0, (VALUES - at) * sizeof(values[0]));
	at += read_some(s, tcp, COUNT(tcp), values + at);
	at += s->stream ? COUNT(udp) : read_some(s, udp, COUNT(udp), values + at);
	read_some(s, others, COUNT(others), values + at);
	/* What the kernel makes of these by itself changes all the time. */
	for (size_t i = 0; i < COUNT(all); i++) {
		int locked = 0;
		socklen_t len = sizeof(locked);

		if (all[i].level != SOL_SOCKET ||
		    (all[i].name != SO_SNDBUF && all[i].name != SO_RCVBUF))
			continue;
		if (getsockopt(s->fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &len) == 0 && !locked)
			memset(values[i], 0, 32);
	}
}

static struct socket sockets[64];
static size_t count;

static void add(int fd, bool setting)
{
	struct socket *s = &sockets[count++];
	int type = tcp_number(fd, SOL_SOCKET, SO_TYPE);

	*s = (struct socket){.fd = fd, .family = tcp_family(fd), .stream = type == SOCK_STREAM};
	if (setting)
		set(s);
	read_all(s, s->values);
}

static void add_family(int family, int listener)
{
	struct connection usual = tcp_pair(family, listener), c;
	int other = socket(family, SOCK_STREAM, 0), second;

	add(usual.client, false);
	add(usual.server, false);
	add(socket(family, SOCK_STREAM, 0), true);
	add(socket(family, SOCK_DGRAM, 0), true);
	add(socket(family, SOCK_STREAM, 0), false);
	add(socket(family, SOCK_DGRAM, 0), false);
	close(other);
	second = tcp_listen(family);
	add(second, false);
	/* Inherited from the listening socket by the one, set by the other. */
	tcp_set(second, IPPROTO_TCP, TCP_NODELAY, 1);
	tcp_set(second, SOL_SOCKET, SO_RCVBUF, 70000);
	c = tcp_pair(family, second);
	read_all(&sockets[count - 1], sockets[count - 1].values);
	add(c.server, false);
	tcp_set(c.client, SOL_SOCKET, SO_KEEPALIVE, 1);
	tcp_set(c.client, IPPROTO_TCP, TCP_CORK, 1);
	add(c.client, false);
}

int main(void)
{
	int four = tcp_listen(AF_INET), six = tcp_listen_six();
	unsigned char now[VALUES][32];

	add_family(AF_INET, four);
	if (six >= 0)
		add_family(AF_INET6, six);

	test_ready();

	for (size_t i = 0; i < count; i++) {
		read_all(&sockets[i], now);
		for (size_t k = 0; k < VALUES; k++) {
			if (memcmp(now[k], sockets[i].values[k], 32) == 0)
				continue;
			printf("socket %zu, value %zu: %d, was %d\n", i, k, *(int *)now[k],
			       *(int *)sockets[i].values[k]);
			fflush(stdout);
			CHECK(!"the same");
		}
	}
	test_passed();
}

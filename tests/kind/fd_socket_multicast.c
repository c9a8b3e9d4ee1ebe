/* Datagram sockets in multicast groups, over IPv4 and IPv6: of any senders, of some, of all but some. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "check.h"

#define GROUP "239.77.88.99"

static struct sockaddr_in four(const char *address, in_port_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = port};

	CHECK(inet_pton(AF_INET, address, &at.sin_addr) == 1);
	return at;
}

/* Mode and number of senders in its filter; -1: it is no member. */
static int filter(int fd, const struct sockaddr_storage *group, unsigned int *mode)
{
	static union {
		struct group_filter filter;
		char room[GROUP_FILTER_SIZE(8)];
	} u;
	socklen_t len = sizeof u;

	u.filter = (struct group_filter){.gf_interface = if_nametoindex("lo"), .gf_group = *group};
	u.filter.gf_numsrc = 8;
	if (getsockopt(fd, group->ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, MCAST_MSFILTER,
		       &u, &len) < 0)
		return -1;
	*mode = u.filter.gf_fmode;
	return (int)u.filter.gf_numsrc;
}

static in_port_t bind_any(int fd)
{
	struct sockaddr_in at = four("0.0.0.0", 0);
	socklen_t len = sizeof at;
	int off = 0;

	/* Else it hears whatever any socket here is a member of. */
	CHECK(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0);
	CHECK(bind(fd, (struct sockaddr *)&at, len) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	return at.sin_port;
}

static void filtered(int fd, int how, const struct sockaddr_storage *group)
{
	struct group_source_req req = {.gsr_interface = if_nametoindex("lo"), .gsr_group = *group};

	*(struct sockaddr_in *)&req.gsr_source = four("127.0.0.1", 0);
	CHECK(setsockopt(fd, IPPROTO_IP, how, &req, sizeof req) == 0);
}

static bool hears(int fd, in_port_t port, const char *sender)
{
	struct sockaddr_in to = four(GROUP, port), from = four(sender, 0);
	struct ip_mreqn lo = {.imr_ifindex = (int)if_nametoindex("lo")};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int out = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;

	CHECK(setsockopt(out, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
	CHECK(bind(out, (struct sockaddr *)&from, sizeof from) == 0);
	CHECK(sendto(out, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
	close(out);
	return poll(&p, 1, 100) == 1 && recv(fd, &byte, 1, 0) == 1;
}

int main(void)
{
	struct sockaddr_storage group = {0}, group_six = {0};
	struct group_req any = {.gr_interface = if_nametoindex("lo")};
	int fds[4], six = socket(AF_INET6, SOCK_DGRAM, 0);
	unsigned int mode = 7;
	in_port_t ports[4];

	*(struct sockaddr_in *)&group = four(GROUP, 0);
	group_six.ss_family = AF_INET6;
	CHECK(inet_pton(AF_INET6, "ff02::7788", &((struct sockaddr_in6 *)&group_six)->sin6_addr) == 1);
	for (int i = 0; i < 4; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
		ports[i] = bind_any(fds[i]);
	}
	any.gr_group = group;
	for (int i = 0; i < 2; i++)
		CHECK(setsockopt(fds[i], IPPROTO_IP, MCAST_JOIN_GROUP, &any, sizeof any) == 0);
	filtered(fds[1], MCAST_BLOCK_SOURCE, &group);
	filtered(fds[2], MCAST_JOIN_SOURCE_GROUP, &group);
	any.gr_group = group_six;
	if (six >= 0 && setsockopt(six, IPPROTO_IPV6, MCAST_JOIN_GROUP, &any, sizeof any) < 0) {
		close(six);
		six = -1; /* no IPv6 here */
	}

	test_ready();

	CHECK(filter(fds[0], &group, &mode) == 0 && mode == MCAST_EXCLUDE);
	CHECK(filter(fds[1], &group, &mode) == 1 && mode == MCAST_EXCLUDE);
	CHECK(filter(fds[2], &group, &mode) == 1 && mode == MCAST_INCLUDE);
	CHECK(filter(fds[3], &group, &mode) == -1);
	CHECK(hears(fds[0], ports[0], "127.0.0.1") && hears(fds[0], ports[0], "127.0.0.2"));
	CHECK(!hears(fds[1], ports[1], "127.0.0.1") && hears(fds[1], ports[1], "127.0.0.2"));
	CHECK(hears(fds[2], ports[2], "127.0.0.1") && !hears(fds[2], ports[2], "127.0.0.2"));
	CHECK(!hears(fds[3], ports[3], "127.0.0.1"));
	CHECK(six < 0 || (filter(six, &group_six, &mode) == 0 && mode == MCAST_EXCLUDE));
	test_passed();
}

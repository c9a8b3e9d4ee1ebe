/* Netlink sockets with nothing under way: their numbers, groups and options, and that they work. */
#include <poll.h>

#include "netlink.h"

static struct sockaddr_nl name(int fd)
{
	struct sockaddr_nl address = {0};
	socklen_t len = sizeof(address);

	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	return address;
}

static void groups(int fd, unsigned int bits[4])
{
	socklen_t len = 4 * sizeof(bits[0]);

	memset(bits, 0, len);
	CHECK(getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, bits, &len) == 0);
}

/* The kernel tells of its interfaces: the first answer is one of them. */
static void ask(int fd)
{
	_Alignas(struct nlmsghdr) static char buf[65536];
	const struct nlmsghdr *head = (const struct nlmsghdr *)buf;
	unsigned int number = name(fd).nl_pid;

	netlink_ask(fd, 42);
	CHECK(recv(fd, buf, sizeof(buf), 0) >= (ssize_t)sizeof(*head));
	CHECK_EQ(head->nlmsg_seq, 42);
	CHECK(!number || head->nlmsg_pid == number);
	CHECK_EQ(head->nlmsg_type, RTM_NEWLINK);
}

int main(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1, got = 0;
	int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int second = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), group = RTNLGRP_NSID;
	int unbound = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	unsigned int before[4], after[4], number;
	socklen_t len = sizeof(got);
	char byte;

	CHECK(route >= 0 && events >= 0 && second >= 0 && unbound >= 0);
	CHECK(bind(route, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(setsockopt(route, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0);
	CHECK(setsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) == 0);
	address.nl_groups = 0;
	CHECK(bind(second, (struct sockaddr *)&address, sizeof(address)) == 0);
	groups(route, before);
	CHECK(before[0] & RTMGRP_LINK);
	number = name(second).nl_pid;
	CHECK(number != 0 && number != name(route).nl_pid);
	address.nl_pid = name(route).nl_pid;

	test_ready();

	CHECK_EQ(name(route).nl_pid, address.nl_pid);
	CHECK_EQ(name(second).nl_pid, number);
	CHECK_EQ(name(unbound).nl_pid, 0);
	CHECK_EQ(name(events).nl_pid, 0);
	groups(route, after);
	CHECK(memcmp(before, after, sizeof(before)) == 0);
	groups(second, after);
	CHECK_EQ(after[0], 0);
	CHECK(getsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &got, &len) == 0 && got == 1);
	CHECK(getsockopt(second, SOL_NETLINK, NETLINK_EXT_ACK, &got, &len) == 0 && got == 0);
	CHECK_EQ(fcntl(route, F_GETFD), FD_CLOEXEC);
	CHECK(recv(events, &byte, 1, 0) == -1 && errno == EAGAIN);
	ask(second);
	ask(unbound);
	test_passed();
}

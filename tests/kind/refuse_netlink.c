/* EXPECT-REFUSAL: descriptor [0-9]+ is a netlink socket \(route\) with messages that nobody has read yet */
/* EXPECT-REFUSAL: descriptor [0-9]+ is a netlink socket \(generic, protocol 16\) */
/* Netlink sockets with an answer that is under way, or of which the kernel may keep more than it tells. */
#include "netlink.h"

int main(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	int generic = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	char byte;

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(generic >= 0);
	netlink_ask(fd, 0);

	test_ready();

	CHECK(fcntl(generic, F_GETFD) >= 0);
	CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == 1);
	test_passed();
}

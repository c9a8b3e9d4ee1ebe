/* EXPECT-REFUSAL: netlink */
/* A netlink socket talks with the kernel, which would not know the new one. */
#include <linux/netlink.h>
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);

	test_ready();

	CHECK(fcntl(fd, F_GETFD) >= 0);
	test_passed();
}

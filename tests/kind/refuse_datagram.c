/* EXPECT-REFUSAL: datagram|socket */
/* A datagram that has come and was not read yet. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char text[8] = "";

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	CHECK_EQ(sendto(fd, "unread", 6, 0, (struct sockaddr *)&address, len), 6);

	test_ready();

	CHECK(recv(fd, text, 6, 0) == 6 && strcmp(text, "unread") == 0);
	test_passed();
}

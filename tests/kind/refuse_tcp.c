/* EXPECT-REFUSAL: socket */
/* A listening TCP socket is not saved yet, so the program is refused. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && client >= 0);
	CHECK(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 5) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);

	test_ready();

	CHECK(connect(client, (struct sockaddr *)&address, len) == 0);
	CHECK(accept(fd, NULL, NULL) >= 0);
	test_passed();
}

/* RESTORE: --tcp-close */
/* MODES: move */
/* A TCP connection cannot be taken up again; with --tcp-close both its ends have ended. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd p = {.events = POLLIN};
	int served, again;
	char byte;

	signal(SIGPIPE, SIG_IGN);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(listener, any, len) == 0 && listen(listener, 3) == 0);
	CHECK(getsockname(listener, any, &len) == 0 && connect(client, any, len) == 0);
	served = accept(listener, NULL, NULL);
	CHECK(served >= 0 && fcntl(served, F_SETFL, O_NONBLOCK) == 0);

	test_ready();

	p.fd = served;
	CHECK(poll(&p, 1, 1000) == 1 && (p.revents & POLLIN));
	CHECK_EQ(read(served, &byte, 1), 0);
	CHECK_EQ(read(client, &byte, 1), 0);
	CHECK_EQ(fcntl(served, F_GETFL), O_RDWR | O_NONBLOCK);
	if (write(client, "x", 1) == 1)
		test_nap(20);
	CHECK(write(client, "x", 1) == -1 && (errno == EPIPE || errno == ECONNRESET));
	again = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(again, any, len) == 0 && accept(listener, NULL, NULL) >= 0);
	test_passed();
}

/* TCP sockets that listen, are only bound, or only made: addresses, options, backlog. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "check.h"

#define ANY ((struct sockaddr *)&address)

static int number(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	CHECK(getsockopt(fd, level, name, &value, &len) == 0);
	return value;
}

static void set(int fd, int level, int name, int value)
{
	CHECK(setsockopt(fd, level, name, &value, sizeof(value)) == 0);
}

static in_port_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	CHECK(getsockname(fd, ANY, &len) == 0);
	return address.sin_port;
}

/* A client gets through, and what it says comes out. */
static void serve(int listener, in_port_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
	int client = socket(AF_INET, SOCK_STREAM, 0), served;
	char text[8] = "";

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(client >= 0 && connect(client, ANY, sizeof(address)) == 0);
	served = accept(listener, NULL, NULL);
	CHECK(served >= 0 && write(client, "hello", 5) == 5);
	CHECK(read(served, text, sizeof(text)) == 5 && strcmp(text, "hello") == 0);
	close(client);
	close(served);
}

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct linger linger = {1, 7};
	socklen_t len = sizeof(linger);
	int four = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int both = socket(AF_INET6, SOCK_STREAM, 0);
	int bound = socket(AF_INET, SOCK_STREAM, 0);
	int made = socket(AF_INET, SOCK_STREAM, 0);
	int buffer;
	in_port_t ports[3];
	char byte;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(four, ANY, sizeof(address)) == 0 && listen(four, 5) == 0);
	CHECK(bind(bound, ANY, sizeof(address)) == 0);
	if (both >= 0 && bind(both, (struct sockaddr *)&six, sizeof(six)) == 0)
		CHECK(listen(both, 100) == 0);
	else
		CHECK(bind(both = socket(AF_INET, SOCK_STREAM, 0), ANY, sizeof(address)) == 0 &&
		      listen(both, 100) == 0);
	ports[0] = port_of(four);
	ports[1] = port_of(both);
	ports[2] = port_of(bound);
	serve(both, ports[1]); /* leaves a connection in TIME_WAIT on its port */
	set(four, SOL_SOCKET, SO_REUSEADDR, 1);
	set(four, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set(made, IPPROTO_TCP, TCP_NODELAY, 1);
	set(made, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(made, SOL_SOCKET, SO_SNDBUF, 12345);
	set(made, IPPROTO_IP, IP_TTL, 33);
	CHECK(setsockopt(made, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	buffer = number(made, SOL_SOCKET, SO_SNDBUF);

	test_ready();

	CHECK_EQ(port_of(four), ports[0]);
	CHECK_EQ(port_of(both), ports[1]);
	CHECK_EQ(port_of(bound), ports[2]);
	CHECK_EQ(fcntl(four, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(four, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(number(four, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_EQ(number(four, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_EQ(number(four, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	CHECK_EQ(number(both, SOL_SOCKET, SO_REUSEADDR), 0);
	CHECK_EQ(number(bound, SOL_SOCKET, SO_ACCEPTCONN), 0);
	CHECK_EQ(number(made, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(number(made, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(number(made, SOL_SOCKET, SO_SNDBUF), buffer);
	CHECK_EQ(number(made, IPPROTO_IP, IP_TTL), 33);
	memset(&linger, 0, sizeof(linger));
	CHECK(getsockopt(made, SOL_SOCKET, SO_LINGER, &linger, &len) == 0);
	CHECK(linger.l_onoff == 1 && linger.l_linger == 7);
	CHECK(read(made, &byte, 1) == -1 && errno == ENOTCONN);
	CHECK(accept(four, NULL, NULL) == -1 && errno == EAGAIN);
	CHECK(fcntl(four, F_SETFL, 0) == 0);
	serve(four, ports[0]);
	serve(both, ports[1]);
	CHECK(listen(bound, 1) == 0);
	serve(bound, ports[2]);
	test_passed();
}

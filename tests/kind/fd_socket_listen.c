/* A listening TCP socket: address, options and backlog; clients find it where it was. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "check.h"

static int get(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	CHECK(getsockopt(fd, level, name, &value, &len) == 0);
	return value;
}

int main(void)
{
	struct sockaddr_in before = {.sin_family = AF_INET}, after;
	socklen_t len = sizeof(before);
	struct linger linger = {1, 17}, found;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, idle = 77;
	int client = socket(AF_INET, SOCK_STREAM, 0);

	before.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && client >= 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)) == 0);
	CHECK(bind(fd, (struct sockaddr *)&before, len) == 0 && listen(fd, 5) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&before, &len) == 0);

	test_ready();

	CHECK(getsockname(fd, (struct sockaddr *)&after, &len) == 0);
	CHECK_EQ(ntohs(after.sin_port), ntohs(before.sin_port));
	CHECK_EQ(after.sin_addr.s_addr, before.sin_addr.s_addr);
	CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(get(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_EQ(get(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_EQ(get(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	len = sizeof(found);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &found, &len) == 0);
	CHECK(found.l_onoff == 1 && found.l_linger == 17);
	CHECK(accept(fd, NULL, NULL) == -1 && errno == EAGAIN);
	CHECK(connect(client, (struct sockaddr *)&before, sizeof(before)) == 0);
	CHECK(accept(fd, NULL, NULL) >= 0);
	test_passed();
}

/* TCP connections for tests: over the loopback interface, of either family. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

struct connection {
	int client, server;
	struct sockaddr_in6 names[4]; /* of both: local and peer */
};

/* Zeros where it has no name (or none any more). */
static inline void tcp_names(const struct connection *c, struct sockaddr_in6 names[4])
{
	for (int i = 0; i < 4; i++) {
		socklen_t len = sizeof names[i];
		int fd = i < 2 ? c->client : c->server;

		memset(&names[i], 0, len);
		if (fd >= 0 && i % 2)
			getpeername(fd, (struct sockaddr *)&names[i], &len);
		else if (fd >= 0)
			getsockname(fd, (struct sockaddr *)&names[i], &len);
	}
}

static inline int tcp_listen(int family)
{
	struct sockaddr_in6 address = {.sin6_family = (sa_family_t)family};
	int fd = socket(family, SOCK_STREAM, 0);

	CHECK(fd >= 0);
	if (family == AF_INET6)
		address.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(fd, (struct sockaddr *)&address,
		   family == AF_INET6 ? sizeof(address) : sizeof(struct sockaddr_in)) == 0);
	CHECK(listen(fd, 50) == 0);
	return fd;
}

/* -1: there is no IPv6 here. */
static inline int tcp_listen_six(void)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	bool there = probe >= 0 && bind(probe, (struct sockaddr *)&six, sizeof(six)) == 0;

	close(probe);
	return there ? tcp_listen(AF_INET6) : -1;
}

static inline int tcp_family(int fd)
{
	int family = 0;
	socklen_t len = sizeof(family);

	CHECK(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0);
	return family;
}

static inline int tcp_connect(int family, int listener)
{
	struct sockaddr_in6 address;
	socklen_t len = sizeof(address);
	int fd = socket(family, SOCK_STREAM, 0);

	CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0);
	return fd;
}

static inline struct connection tcp_pair(int family, int listener)
{
	struct connection c = {.client = tcp_connect(family, listener)};

	c.server = accept(listener, NULL, NULL);
	CHECK(c.server >= 0);
	tcp_names(&c, c.names);
	return c;
}

static inline void tcp_same_names(const struct connection *c)
{
	struct sockaddr_in6 now[4];

	tcp_names(c, now);
	CHECK(memcmp(now, c->names, sizeof now) == 0);
}

static inline void tcp_write(int fd, const char *text)
{
	CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The text, and that nothing else waits behind it. */
static inline void tcp_expect(int fd, const char *text)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[256] = "";
	size_t len = strlen(text), done = 0;

	while (done < len) {
		ssize_t n;

		CHECK(poll(&p, 1, 5000) == 1);
		n = recv(fd, buf + done, sizeof(buf) - done, 0);
		CHECK(n > 0);
		done += (size_t)n;
	}
	CHECK(done == len && memcmp(buf, text, len) == 0);
}

static inline void tcp_expect_end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	CHECK(poll(&p, 1, 5000) == 1);
	CHECK_EQ(recv(fd, &byte, 1, 0), 0);
}

static inline int tcp_number(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK(getsockopt(fd, level, name, &value, &len) == 0);
	return value;
}

static inline void tcp_set(int fd, int level, int name, int value)
{
	CHECK(setsockopt(fd, level, name, &value, sizeof(value)) == 0);
}

/* LEVELS: root */
/*
 * A TCP connection with a process outside goes on where TCP_REPAIR is permitted: what waits to be read,
 * what was written and not sent, and the peer never notices.  Left running, it is unharmed.
 */
#include <sys/ioctl.h>

#include "tcp.h"

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + i / 251);
}

/* Echoes nothing until it is told: then says how much came, and whether all of it was right. */
static void outsider(int fd)
{
	size_t got = 0;
	bool right = true;

	tcp_write(fd, "unread");
	/* To packets that find nobody the kernel answers with a reset. */
	while (access("resumed", F_OK) < 0)
		test_nap(5);
	for (;;) {
		unsigned char buf[65536];
		ssize_t n = recv(fd, buf, sizeof buf, 0);

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			right = right && buf[i] == pattern(got + (size_t)i);
		got += (size_t)n;
	}
	CHECK(send(fd, &got, sizeof got, MSG_NOSIGNAL) == sizeof got);
	CHECK(send(fd, &right, sizeof right, MSG_NOSIGNAL) == sizeof right);
	_exit(0);
}

static int connect_outside(int family)
{
	int listener = tcp_listen(family), fd;
	pid_t pid = fork();

	if (pid == 0) {
		setsid(); /* else the number of the session stays taken */
		if (fork() > 0)
			_exit(0);
		fd = accept(listener, NULL, NULL);
		CHECK(fd >= 0);
		close(listener);
		alarm(60);
		outsider(fd);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	fd = tcp_connect(family, listener);
	close(listener);
	return fd;
}

int main(void)
{
	int on = 1, unsent = 0, fd;
	size_t written = 0, got;
	struct connection c;
	bool right;
	int probe = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(probe, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) < 0)
		SKIP("TCP_REPAIR is not permitted here: %s", strerror(errno));
	close(probe);
	fd = connect_outside(AF_INET);
	tcp_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	c = (struct connection){.client = fd, .server = -1};
	tcp_names(&c, c.names);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	for (;;) {
		unsigned char buf[4096];

		for (size_t i = 0; i < sizeof buf; i++)
			buf[i] = pattern(written + i);
		ssize_t n = send(fd, buf, sizeof buf, MSG_NOSIGNAL);

		if (n < 0)
			break;
		written += (size_t)n;
	}
	CHECK(ioctl(fd, TIOCOUTQ, &unsent) == 0 && unsent > 0);
	test_nap(600); /* until the last gap in the window is filled */

	test_ready();

	close(open("resumed", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	tcp_same_names(&c);
	CHECK_EQ(tcp_number(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	tcp_expect(fd, "unread");
	CHECK(fcntl(fd, F_SETFL, 0) == 0);
	for (size_t i = 0; i < 100000; i++, written++) {
		unsigned char byte = pattern(written);

		CHECK_EQ(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
	}
	CHECK(shutdown(fd, SHUT_WR) == 0);
	CHECK(recv(fd, &got, sizeof got, MSG_WAITALL) == sizeof got);
	CHECK(recv(fd, &right, sizeof right, MSG_WAITALL) == sizeof right);
	CHECK(got == written && right);
	test_passed();
}

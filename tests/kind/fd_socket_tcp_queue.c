/*
 * A connection whose reader has been fast, so that the kernel gave it large buffers, and is not any
 * more: much waits to be read, more than a new connection has room for.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "tcp.h"

static unsigned char buf[1 << 16];

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 13 + i / 509);
}

static bool push(int fd, size_t *written)
{
	ssize_t n;

	for (size_t i = 0; i < sizeof buf; i++)
		buf[i] = pattern(*written + i);
	n = send(fd, buf, sizeof buf, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		*written += (size_t)n;
	return n == sizeof buf;
}

/* None of it is left in the writer. */
static bool has_left(int fd)
{
	int unsent = 0;

	for (int i = 0; i < 100; i++) {
		CHECK(ioctl(fd, SIOCOUTQNSD, &unsent) == 0);
		if (!unsent)
			return true;
		test_nap(1);
	}
	return false;
}

static void pull(int fd, size_t *read_so_far, size_t until)
{
	while (*read_so_far < until) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);

		CHECK(n > 0);
		for (ssize_t i = 0; i < n; i++)
			CHECK(buf[i] == pattern(*read_so_far + (size_t)i));
		*read_so_far += (size_t)n;
	}
}

int main(void)
{
	int listener = tcp_listen(AF_INET), waiting = 0, room;
	struct connection c = tcp_pair(AF_INET, listener);
	size_t written = 0, read_so_far = 0;

	while (written < (size_t)256 << 20) {
		while (push(c.client, &written))
			;
		pull(c.server, &read_so_far, written);
	}
	room = tcp_number(c.server, SOL_SOCKET, SO_RCVBUF);
	while (ioctl(c.server, FIONREAD, &waiting) == 0 && waiting < room / 4)
		CHECK(push(c.client, &written) && has_left(c.client));
	printf("room %d, %d bytes wait\n", room, waiting);

	test_ready();

	CHECK_EQ(ioctl(c.server, FIONREAD, &waiting), 0);
	CHECK_EQ(waiting, written - read_so_far);
	pull(c.server, &read_so_far, written);
	CHECK(push(c.client, &written));
	pull(c.server, &read_so_far, written);
	test_passed();
}

/*
 * Connections within the tree whose reader is slow: what was written waits with the writer, as the reader
 * has no room.  Of one the writer still lives, of the other it has closed its end behind that.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "tcp.h"

static unsigned char buf[1 << 16];

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 11 + i / 251);
}

/* As much as there is room for, and then nothing moves any more. */
static size_t stuff(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	size_t written = 0;
	int unsent = 0;

	do {
		ssize_t n;

		for (size_t i = 0; i < sizeof buf; i++)
			buf[i] = pattern(written + i);
		n = send(fd, buf, sizeof buf, MSG_DONTWAIT | MSG_NOSIGNAL);
		written += n > 0 ? (size_t)n : 0;
	} while (poll(&p, 1, 100) == 1);
	CHECK(ioctl(fd, SIOCOUTQNSD, &unsent) == 0 && unsent > 0);
	return written;
}

static void drain(int fd, size_t written)
{
	for (size_t done = 0; done < written;) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);

		CHECK(n > 0);
		for (ssize_t i = 0; i < n; i++)
			CHECK(buf[i] == pattern(done + (size_t)i));
		done += (size_t)n;
	}
}

int main(void)
{
	int listener = tcp_listen(AF_INET), size = 4096;
	struct connection kept = tcp_pair(AF_INET, listener), left = tcp_pair(AF_INET, listener);
	struct connection back = tcp_pair(AF_INET, listener);
	size_t written[3];

	tcp_set(kept.server, SOL_SOCKET, SO_RCVLOWAT, 5);
	written[0] = stuff(kept.client);
	written[1] = stuff(left.client);
	close(left.client);
	left.client = -1;
	/* The writer is asked before, and after, its reader. */
	written[2] = stuff(back.server);
	CHECK(getsockopt(kept.server, SOL_SOCKET, SO_RCVBUF, &size, &(socklen_t){sizeof size}) == 0);
	printf("%zu, %zu, %zu bytes, room %d\n", written[0], written[1], written[2], size);

	test_ready();

	CHECK_EQ(tcp_number(kept.server, SOL_SOCKET, SO_RCVLOWAT), 5);
	drain(kept.server, written[0]);
	tcp_write(kept.client, "after");
	tcp_expect(kept.server, "after");
	drain(left.server, written[1]);
	tcp_expect_end(left.server);
	drain(back.client, written[2]);
	tcp_write(back.client, "answer");
	tcp_expect(back.server, "answer");
	test_passed();
}

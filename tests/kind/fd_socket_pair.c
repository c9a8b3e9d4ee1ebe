/* Pairs of Unix sockets: what waits in them, what was shut down, and ends whose other end is gone. */
#include <signal.h>
#include <sys/socket.h>

#include "check.h"

static int big[2];
static char buffer[100000];

static void fill_big(void)
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, big) == 0);
	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (char)(i * 7);
	CHECK_EQ(write(big[0], buffer, sizeof(buffer)), sizeof(buffer));
}

static void check_big(void)
{
	size_t got = 0;

	while (got < sizeof(buffer)) {
		ssize_t n = read(big[1], buffer + got, sizeof(buffer) - got);

		CHECK(n > 0);
		got += (size_t)n;
	}
	for (size_t i = 0; i < sizeof(buffer); i++)
		CHECK_EQ(buffer[i], (char)(i * 7));
}

int main(void)
{
	int both[2], shut[2], widow[2], reset[2], packets[2];
	char text[16] = "";

	signal(SIGPIPE, SIG_IGN);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, shut) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, widow) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, reset) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
	fill_big();
	CHECK(write(both[0], "to ", 3) == 3 && write(both[0], "one", 3) == 3);
	CHECK(write(both[1], "to zero", 7) == 7 && write(packets[0], "packet", 6) == 6);
	CHECK(write(shut[0], "last", 4) == 4 && shutdown(shut[0], SHUT_WR) == 0);
	CHECK(write(widow[0], "rest", 4) == 4 && close(widow[0]) == 0);
	CHECK(write(reset[1], "lost", 4) == 4 && close(reset[0]) == 0);
	CHECK(fcntl(both[1], F_SETFL, O_NONBLOCK) == 0);

	test_ready();

	CHECK_EQ(fcntl(both[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(both[0], F_GETFL), O_RDWR);
	CHECK_EQ(fcntl(both[1], F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK(read(both[1], text, sizeof(text)) == 6 && !memcmp(text, "to one", 6));
	CHECK(read(both[0], text, sizeof(text)) == 7 && !memcmp(text, "to zero", 7));
	CHECK(read(both[1], text, sizeof(text)) == -1 && errno == EAGAIN);
	CHECK(write(both[0], "new", 3) == 3 && read(both[1], text, sizeof(text)) == 3);
	check_big();
	CHECK(read(shut[1], text, sizeof(text)) == 4 && !memcmp(text, "last", 4));
	CHECK_EQ(read(shut[1], text, sizeof(text)), 0);
	CHECK(write(shut[0], "x", 1) == -1 && errno == EPIPE);
	CHECK(write(shut[1], "back", 4) == 4 && read(shut[0], text, sizeof(text)) == 4);
	CHECK(read(widow[1], text, sizeof(text)) == 4 && !memcmp(text, "rest", 4));
	CHECK_EQ(read(widow[1], text, sizeof(text)), 0);
	CHECK(write(widow[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(read(reset[1], text, sizeof(text)) == -1 && errno == ECONNRESET);
	CHECK_EQ(read(reset[1], text, sizeof(text)), 0);
	CHECK(read(packets[1], text, sizeof(text)) == 6 && !memcmp(text, "packet", 6));
	CHECK(write(packets[1], "p", 1) == 1 && read(packets[0], text, sizeof(text)) == 1);
	test_passed();
}

/* Messages in pairs of Unix sockets keep their boundaries, and looking at them leaves no trace. */
#include <sys/socket.h>

#include "check.h"

#define COUNT 30

static void fill(int fd)
{
	char text[300];

	for (int i = 0; i < COUNT; i++) {
		memset(text, 'a' + i % 26, sizeof(text));
		CHECK_EQ(send(fd, text, (size_t)(i * 10), 0), i * 10);
	}
}

static void drain(int fd)
{
	char text[300];

	for (int i = 0; i < COUNT; i++) {
		CHECK_EQ(recv(fd, text, sizeof(text), 0), i * 10);
		for (int k = 0; k < i * 10; k++)
			CHECK_EQ(text[k], 'a' + i % 26);
	}
	CHECK(recv(fd, text, sizeof(text), MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

static int peek_offset(int fd)
{
	int offset = -2;
	socklen_t len = sizeof(offset);

	CHECK(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == 0);
	return offset;
}

int main(void)
{
	int datagrams[2], packets[2], peeked[2], bytes[2], shut[2], gone[2], offset = 3;
	static char big[100000], back[100000];
	char text[32] = "";

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, peeked) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, bytes) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, shut) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, gone) == 0);
	fill(datagrams[0]);
	fill(packets[0]);
	CHECK(send(datagrams[1], "back", 4, 0) == 4 && send(packets[1], "too", 3, 0) == 3);
	memset(big, 'b', sizeof(big));
	CHECK_EQ(send(packets[1], big, sizeof(big), 0), sizeof(big));
	/* The program has peeked itself: the next peek goes on behind. */
	CHECK(setsockopt(peeked[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0);
	CHECK(send(peeked[0], "one", 3, 0) == 3 && send(peeked[0], "two", 3, 0) == 3);
	CHECK(send(peeked[0], "three", 5, 0) == 5);
	CHECK(setsockopt(bytes[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0);
	CHECK(send(bytes[0], "twelve bytes", 12, 0) == 12);
	CHECK(recv(bytes[1], text, 4, MSG_PEEK) == 4 && peek_offset(bytes[1]) == 7);
	CHECK(send(shut[0], "last", 4, 0) == 4 && send(shut[0], "words", 5, 0) == 5);
	CHECK(shutdown(shut[0], SHUT_WR) == 0);
	CHECK(send(gone[0], "one", 3, 0) == 3 && send(gone[0], "two", 3, 0) == 3 && close(gone[0]) == 0);

	test_ready();

	CHECK_EQ(peek_offset(datagrams[1]), -1);
	CHECK_EQ(peek_offset(packets[1]), -1);
	drain(datagrams[1]);
	drain(packets[1]);
	CHECK(recv(datagrams[0], text, sizeof(text), 0) == 4 && !memcmp(text, "back", 4));
	CHECK(recv(packets[0], text, sizeof(text), 0) == 3 && !memcmp(text, "too", 3));
	CHECK(recv(packets[0], back, sizeof(back), 0) == sizeof(back) && !memcmp(big, back, sizeof(big)));
	CHECK_EQ(peek_offset(peeked[1]), 3);
	CHECK(recv(peeked[1], text, sizeof(text), MSG_PEEK) == 3 && !memcmp(text, "two", 3));
	CHECK(recv(peeked[1], text, sizeof(text), MSG_PEEK) == 5 && !memcmp(text, "three", 5));
	CHECK(recv(peeked[1], text, sizeof(text), 0) == 3 && !memcmp(text, "one", 3));
	CHECK_EQ(peek_offset(bytes[1]), 7);
	CHECK(recv(bytes[1], text, sizeof(text), MSG_PEEK) == 5 && !memcmp(text, "bytes", 5));
	CHECK(recv(bytes[1], text, sizeof(text), 0) == 12 && !memcmp(text, "twelve bytes", 12));
	CHECK(recv(shut[1], text, sizeof(text), 0) == 4 && recv(shut[1], text, sizeof(text), 0) == 5);
	CHECK_EQ(recv(shut[1], text, sizeof(text), 0), 0);
	CHECK(send(shut[1], "back", 4, 0) == 4 && recv(shut[0], text, sizeof(text), 0) == 4);
	CHECK(recv(gone[1], text, sizeof(text), 0) == 3 && recv(gone[1], text, sizeof(text), 0) == 3);
	CHECK(!memcmp(text, "two", 3) && send(gone[1], "x", 1, MSG_NOSIGNAL) == -1);
	CHECK_EQ(errno, ECONNREFUSED);
	CHECK(send(datagrams[0], "again", 5, 0) == 5 && recv(datagrams[1], text, sizeof(text), 0) == 5);
	test_passed();
}

/* EXPECT-REFUSAL: descriptor [0-9]+ \(socket.*empty messages that were looked at before */
/* An empty message that was looked at is hidden from the next look, and must not get lost. */
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	int pair[2], offset = 1;
	char text[8];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	CHECK(send(pair[0], "a", 1, 0) == 1 && send(pair[0], "", 0, 0) == 0 &&
	      send(pair[0], "b", 1, 0) == 1);
	CHECK(setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0);
	CHECK_EQ(recv(pair[1], text, sizeof(text), MSG_PEEK), 0);
	offset = -1;
	CHECK(setsockopt(pair[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0);

	test_ready();

	CHECK(recv(pair[1], text, sizeof(text), 0) == 1 && text[0] == 'a');
	CHECK_EQ(recv(pair[1], text, sizeof(text), 0), 0);
	CHECK(recv(pair[1], text, sizeof(text), 0) == 1 && text[0] == 'b');
	test_passed();
}

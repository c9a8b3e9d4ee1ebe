/* EXPECT-REFUSAL: descriptor 20 .*urgent byte */
/* EXPECT-REFUSAL: descriptor 21 .*urgent byte */
/* A byte that was sent as urgent (MSG_OOB) is not among those that a look shows. */
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	int pair[2], alone[2];
	char text[8];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, alone) == 0);
	CHECK(send(pair[0], "abc", 3, 0) == 3);
	if (send(pair[0], "d", 1, MSG_OOB) != 1 || send(alone[0], "e", 1, MSG_OOB) != 1)
		SKIP("this kernel has no urgent bytes in Unix sockets: %s", strerror(errno));

	CHECK(dup2(pair[1], 20) == 20 && close(pair[1]) == 0);
	CHECK(dup2(alone[1], 21) == 21 && close(alone[1]) == 0);
	pair[1] = 20;
	alone[1] = 21;

	test_ready();

	CHECK(recv(pair[1], text, 1, MSG_OOB) == 1 && text[0] == 'd');
	CHECK(recv(pair[1], text, sizeof(text), 0) == 3 && !memcmp(text, "abc", 3));
	CHECK(recv(alone[1], text, 1, MSG_OOB) == 1 && text[0] == 'e');
	test_passed();
}

/* EXPECT-REFUSAL: socket */
/* A pair of connected Unix sockets is not saved yet, so the program is refused. */
#include <sys/socket.h>

#include "check.h"

int main(void)
{
	char text[8] = "";
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK_EQ(write(pair[0], "there", 5), 5);

	test_ready();

	CHECK(read(pair[1], text, sizeof(text)) == 5 && strcmp(text, "there") == 0);
	test_passed();
}

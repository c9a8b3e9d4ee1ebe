/* A pipe in packet mode (O_DIRECT): every write is a packet of its own for the reader. */
#include "check.h"

int main(void)
{
	static const char *const packets[] = {"a", "", "second packet", "3", "the fourth one"};
	char text[64];
	int ends[2];

	CHECK(pipe2(ends, O_DIRECT | O_NONBLOCK) == 0);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(write(ends[1], packets[i], strlen(packets[i])), strlen(packets[i]));

	test_ready();

	CHECK_EQ(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK); /* packets are the writer's */
	CHECK_EQ(fcntl(ends[1], F_GETFL), O_WRONLY | O_DIRECT | O_NONBLOCK);
	for (int i = 0; i < 5; i++) {
		ssize_t len = (ssize_t)strlen(packets[i]);

		if (len == 0)
			continue; /* nothing written is no packet */
		CHECK_EQ(read(ends[0], text, sizeof(text)), len);
		CHECK(memcmp(text, packets[i], (size_t)len) == 0);
	}
	CHECK(read(ends[0], text, 1) == -1 && errno == EAGAIN);
	CHECK(write(ends[1], "x", 1) == 1 && write(ends[1], "y", 1) == 1);
	CHECK_EQ(read(ends[0], text, sizeof(text)), 1);
	test_passed();
}

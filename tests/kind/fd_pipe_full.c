/* A pipe that is full to the last byte stays so, and gives everything in order. */
#include "check.h"

int main(void)
{
	unsigned char byte = 0;
	int ends[2], total = 0;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	while (write(ends[1], &byte, 1) == 1)
		byte = (unsigned char)(++total % 251);
	CHECK(errno == EAGAIN && total >= 4096);

	test_ready();

	CHECK(write(ends[1], &byte, 1) == -1 && errno == EAGAIN);
	for (int i = 0; i < total; i++) {
		CHECK_EQ(read(ends[0], &byte, 1), 1);
		CHECK_EQ(byte, i % 251);
	}
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EAGAIN);
	for (int i = 0; i < total; i++)
		CHECK_EQ(write(ends[1], &byte, 1), 1);
	test_passed();
}

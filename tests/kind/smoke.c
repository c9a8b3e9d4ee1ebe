/*
 * The least there is: a number in memory and an open file with its position.
 */
#include "check.h"

int main(void)
{
	volatile unsigned counter = 41;
	char bytes[4] = "";
	int fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "abcdef", 6), 6);
	CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);

	test_ready();

	counter++;
	CHECK_EQ(counter, 42);
	CHECK_EQ(read(fd, bytes, 3), 3);
	CHECK(memcmp(bytes, "cde", 3) == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	test_passed();
}

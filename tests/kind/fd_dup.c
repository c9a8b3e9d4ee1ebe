/* Duplicates of a descriptor share one position; files that were opened twice do not. */
#include "check.h"

int main(void)
{
	int fd = open("file", O_CREAT | O_RDWR, 0600), copy, again;
	char c;

	CHECK(fd >= 0 && write(fd, "abcdefghij", 10) == 10);
	copy = dup(fd);
	again = open("file", O_RDWR);
	CHECK(copy >= 0 && again >= 0);
	CHECK_EQ(dup2(fd, 100), 100);
	CHECK_EQ(dup3(fd, 99, O_CLOEXEC), 99);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);

	test_ready();

	CHECK_EQ(lseek(copy, 0, SEEK_CUR), 3);
	CHECK_EQ(lseek(again, 0, SEEK_CUR), 0);
	CHECK(read(100, &c, 1) == 1 && c == 'd');
	CHECK(read(copy, &c, 1) == 1 && c == 'e');
	CHECK(read(again, &c, 1) == 1 && c == 'a');
	CHECK(read(99, &c, 1) == 1 && c == 'f');
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(lseek(again, 0, SEEK_CUR), 1);
	/* The status flags are shared likewise. */
	CHECK(fcntl(copy, F_SETFL, O_APPEND) == 0);
	CHECK(fcntl(99, F_GETFL) & O_APPEND);
	CHECK(!(fcntl(again, F_GETFL) & O_APPEND));
	CHECK_EQ(fcntl(99, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	test_passed();
}

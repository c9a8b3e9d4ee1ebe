/* Standard input, output and error: the two that share a file go on writing it where they were. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	struct stat before[3], after;
	int flags[3];
	off_t end;

	CHECK_EQ(write(1, "before\n", 7), 7);
	for (int fd = 0; fd < 3; fd++) {
		CHECK(fstat(fd, &before[fd]) == 0);
		flags[fd] = fcntl(fd, F_GETFL);
	}
	end = lseek(1, 0, SEEK_CUR);

	test_ready();

	for (int fd = 0; fd < 3; fd++) {
		CHECK(fstat(fd, &after) == 0);
		CHECK_EQ(after.st_ino, before[fd].st_ino);
		CHECK_EQ(fcntl(fd, F_GETFL), flags[fd]);
	}
	CHECK_EQ(lseek(1, 0, SEEK_CUR), end);
	CHECK_EQ(write(2, "after\n", 6), 6);
	CHECK_EQ(lseek(1, 0, SEEK_CUR), end + 6);
	test_passed();
}

/*
 * A deleted file that is still open: content, mode, time and positions.  All
 * descriptors see the one file, those of one description share its position.
 */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	int write_only = open("ghost", O_CREAT | O_WRONLY | O_APPEND, 0640);
	int both = open("ghost", O_RDWR), read_only = open("ghost", O_RDONLY), copy = dup(both);
	struct stat before, after;
	char text[16] = "";

	CHECK(write_only >= 0 && both >= 0 && read_only >= 0 && copy >= 0);
	CHECK_EQ(write(write_only, "0123456789", 10), 10);
	CHECK(lseek(both, 4, SEEK_SET) == 4 && lseek(read_only, 6, SEEK_SET) == 6);
	CHECK(futimens(both, (struct timespec[2]){{1000000, 5}, {2000000, 7}}) == 0);
	CHECK(unlink("ghost") == 0);
	CHECK(fstat(both, &before) == 0);

	test_ready();

	CHECK(fstat(both, &after) == 0);
	CHECK_EQ(after.st_nlink, 0);
	CHECK_EQ(after.st_size, 10);
	CHECK_EQ(after.st_mode, before.st_mode);
	CHECK_EQ(after.st_mtim.tv_sec, 2000000);
	CHECK_EQ(after.st_mtim.tv_nsec, 7);
	CHECK_EQ(lseek(copy, 0, SEEK_CUR), 4);
	CHECK_EQ(lseek(read_only, 0, SEEK_CUR), 6);
	CHECK_EQ(lseek(write_only, 0, SEEK_CUR), 10);
	CHECK(read(copy, text, 2) == 2 && memcmp(text, "45", 2) == 0);
	CHECK(read(both, text, 2) == 2 && memcmp(text, "67", 2) == 0);
	CHECK(read(read_only, text, 4) == 4 && memcmp(text, "6789", 4) == 0);
	CHECK_EQ(write(write_only, "appended", 8), 8);
	CHECK(read(read_only, text, 8) == 8 && memcmp(text, "appended", 8) == 0);
	CHECK_EQ(pwrite(both, "X", 1, 0), 1);
	CHECK(pread(read_only, text, 2, 0) == 2 && memcmp(text, "X1", 2) == 0);
	CHECK(write(read_only, "x", 1) == -1 && errno == EBADF);
	CHECK(access("ghost", F_OK) == -1 && errno == ENOENT);
	test_passed();
}

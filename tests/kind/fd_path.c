/* O_PATH descriptors of a file, a directory and a symbolic link lead to where they led. */
#include <sys/stat.h>

#include "check.h"

#define PATHS 3

int main(void)
{
	int fds[PATHS], fd;
	struct stat before[PATHS], after;
	char target[16] = "";

	CHECK(mkdir("directory", 0700) == 0 && symlink("nowhere", "link") == 0);
	/* Its mode is 0: it could not even be opened for reading. */
	CHECK(close(open("directory/file", O_CREAT | O_WRONLY, 0)) == 0);
	fds[0] = open("directory/file", O_PATH | O_CLOEXEC);
	fds[1] = open("directory", O_PATH | O_DIRECTORY);
	fds[2] = open("link", O_PATH | O_NOFOLLOW);
	for (int i = 0; i < PATHS; i++)
		CHECK(fds[i] >= 0 && fstat(fds[i], &before[i]) == 0);
	CHECK(S_ISREG(before[0].st_mode) && S_ISLNK(before[2].st_mode));

	test_ready();

	for (int i = 0; i < PATHS; i++) {
		CHECK(fcntl(fds[i], F_GETFL) & O_PATH);
		CHECK(fstat(fds[i], &after) == 0);
		CHECK_EQ(after.st_ino, before[i].st_ino);
		CHECK_EQ(after.st_mode, before[i].st_mode);
	}
	CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fds[1], F_GETFL) & O_DIRECTORY, O_DIRECTORY);
	CHECK_EQ(readlinkat(fds[2], "", target, sizeof(target)), 7);
	CHECK(strcmp(target, "nowhere") == 0);
	fd = openat(fds[1], "file", O_PATH);
	CHECK(fd >= 0 && fstat(fd, &after) == 0);
	CHECK_EQ(after.st_ino, before[0].st_ino);
	CHECK(read(fds[0], target, 1) == -1 && errno == EBADF);
	test_passed();
}

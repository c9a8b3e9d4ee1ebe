/* The devices that every program may open. */
#include <sys/stat.h>

#include "check.h"

#define DEVICES 6

int main(void)
{
	static const char *const paths[DEVICES] = {
		"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random", "/dev/null",
	};
	static const int flags[DEVICES] = {
		O_RDWR, O_RDONLY, O_WRONLY | O_CLOEXEC, O_RDONLY | O_NONBLOCK, O_RDONLY,
		O_WRONLY | O_APPEND,
	};
	struct stat before[DEVICES], after;
	int fds[DEVICES], modes[DEVICES];
	char bytes[16];

	for (int i = 0; i < DEVICES; i++) {
		fds[i] = open(paths[i], flags[i]);
		CHECK(fds[i] >= 0 && fstat(fds[i], &before[i]) == 0);
		modes[i] = fcntl(fds[i], F_GETFL);
	}

	test_ready();

	for (int i = 0; i < DEVICES; i++) {
		CHECK(fstat(fds[i], &after) == 0);
		CHECK_EQ(after.st_rdev, before[i].st_rdev);
		CHECK_EQ(after.st_ino, before[i].st_ino);
		CHECK_EQ(fcntl(fds[i], F_GETFL), modes[i]);
	}
	CHECK_EQ(fcntl(fds[2], F_GETFD), FD_CLOEXEC);
	CHECK(write(fds[0], "x", 1) == 1 && read(fds[0], bytes, 1) == 0);
	memset(bytes, 'x', sizeof(bytes));
	CHECK(read(fds[1], bytes, sizeof(bytes)) == sizeof(bytes) && bytes[15] == 0);
	CHECK(write(fds[2], "x", 1) == -1 && errno == ENOSPC);
	CHECK(read(fds[3], bytes, sizeof(bytes)) == sizeof(bytes));
	CHECK(read(fds[4], bytes, sizeof(bytes)) == sizeof(bytes));
	test_passed();
}

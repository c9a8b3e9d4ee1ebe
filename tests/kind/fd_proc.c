/* Open files of /proc: of the system, and of the process itself, which go on telling of itself. */
#include "check.h"

#define FILES 8

static volatile int secret = 4711;

static void expect(int fd, const char *start)
{
	char text[64] = "";

	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	CHECK(strncmp(text, start, strlen(start)) == 0);
}

int main(void)
{
	static const char *const paths[FILES] = {
		"/proc/self/stat", "/proc/meminfo", "/proc/self/maps", "/proc/self",
		"/proc/thread-self/comm", "/proc/self/mem", "/proc/sys/kernel/ostype",
		"/proc/self/task",
	};
	static const int flags[FILES] = {[4] = O_RDWR, [5] = O_RDWR};
	char number[32], text[64] = "";
	int fds[FILES], fd, value;

	for (int i = 0; i < FILES; i++) {
		fds[i] = open(paths[i], flags[i]);
		CHECK(fds[i] >= 0);
	}
	CHECK(read(fds[1], text, 10) == 10);
	snprintf(number, sizeof(number), "%d", getpid());

	test_ready();

	expect(fds[0], number);
	CHECK_EQ(lseek(fds[1], 0, SEEK_CUR), 10);
	expect(fds[1], "MemTotal:");
	CHECK(read(fds[2], text, 1) == 1);
	fd = openat(fds[3], "stat", O_RDONLY);
	CHECK(fd >= 0);
	expect(fd, number);
	CHECK_EQ(write(fds[4], "renamed", 7), 7);
	expect(fds[4], "renamed\n");
	CHECK_EQ(pread(fds[5], &value, sizeof(value), (off_t)&secret), sizeof(value));
	CHECK_EQ(value, 4711);
	value = 4712;
	CHECK_EQ(pwrite(fds[5], &value, sizeof(value), (off_t)&secret), sizeof(value));
	CHECK_EQ(secret, 4712);
	expect(fds[6], "Linux\n");
	CHECK(faccessat(fds[7], number, F_OK, 0) == 0);
	test_passed();
}

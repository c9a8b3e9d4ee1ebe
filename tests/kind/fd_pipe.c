/* Pipes within the process: what is in them, their size, their flags, and a duplicated end. */
#include <sys/ioctl.h>

#include "procfs.h"

#define LEN 100000

int main(void)
{
	int small[2], large[2], copy, unread = 0;
	static unsigned char block[LEN];
	char text[64] = "";

	CHECK(pipe2(small, O_NONBLOCK | O_CLOEXEC) == 0 && pipe(large) == 0);
	copy = dup(small[1]);
	CHECK(write(small[1], "one ", 4) == 4 && write(copy, "two ", 4) == 4);
	CHECK_EQ(fcntl(large[1], F_SETPIPE_SZ, 1 << 18), 1 << 18);
	for (int i = 0; i < LEN; i++)
		block[i] = (unsigned char)(i % 251);
	CHECK_EQ(write(large[1], block, LEN), LEN);
	CHECK_EQ(read(large[0], text, 10), 10); /* so that it begins in the middle of a page */

	test_ready();

	CHECK(strcmp(fd_link(small[0]), fd_link(copy)) == 0);
	CHECK_EQ(fcntl(small[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(small[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(small[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(copy, F_GETFD), 0);
	CHECK_EQ(write(copy, "three", 5), 5);
	CHECK_EQ(read(small[0], text, sizeof(text)), 13);
	CHECK(memcmp(text, "one two three", 13) == 0);
	CHECK(read(small[0], text, 1) == -1 && errno == EAGAIN);
	CHECK(close(small[1]) == 0 && read(small[0], text, 1) == -1 && errno == EAGAIN);
	CHECK(close(copy) == 0 && read(small[0], text, 1) == 0);

	CHECK_EQ(fcntl(large[0], F_GETPIPE_SZ), 1 << 18);
	CHECK(ioctl(large[0], FIONREAD, &unread) == 0);
	CHECK_EQ(unread, LEN - 10);
	memset(block, 0, sizeof(block));
	CHECK_EQ(read(large[0], block, LEN), LEN - 10);
	for (int i = 0; i < LEN - 10; i++)
		CHECK_EQ(block[i], (i + 10) % 251);
	test_passed();
}

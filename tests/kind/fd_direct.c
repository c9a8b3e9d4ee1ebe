/* A file opened for direct I/O is read directly, not through the page cache. */
#include "check.h"

int main(void)
{
	int fd = open("file", O_CREAT | O_RDWR | O_DIRECT, 0600);
	char *block = aligned_alloc(4096, 4096);

	if (fd < 0 && errno == EINVAL)
		SKIP("this file system has no direct I/O");
	CHECK(fd >= 0 && block);
	for (int i = 0; i < 4; i++) {
		memset(block, 'a' + i, 4096);
		CHECK_EQ(write(fd, block, 4096), 4096);
	}
	CHECK_EQ(lseek(fd, 8192, SEEK_SET), 8192);

	test_ready();

	CHECK(fcntl(fd, F_GETFL) & O_DIRECT);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8192);
	CHECK_EQ(read(fd, block, 4096), 4096);
	CHECK(block[0] == 'c' && block[4095] == 'c');
	test_passed();
}

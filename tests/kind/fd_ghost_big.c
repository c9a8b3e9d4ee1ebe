/* A large deleted file with little in it comes back just as sparse. */
#include <sys/stat.h>

#include "check.h"

#define SIZE (200L << 20)
#define ISLANDS 5

int main(void)
{
	int fd = open("big", O_CREAT | O_RDWR, 0600);
	char page[4096];
	struct stat st;

	CHECK(fd >= 0 && unlink("big") == 0 && ftruncate(fd, SIZE) == 0);
	for (int i = 0; i < ISLANDS; i++) {
		memset(page, 'a' + i, sizeof(page));
		CHECK_EQ(pwrite(fd, page, sizeof(page), i * (SIZE / 4) - (i == 4) * 4096), 4096);
	}
	CHECK(fstat(fd, &st) == 0);
	if (st.st_blocks > 2048 * 4)
		SKIP("this file system makes no sparse files");

	test_ready();

	CHECK(fstat(fd, &st) == 0);
	CHECK_EQ(st.st_size, SIZE);
	CHECK(st.st_blocks <= 2048 * 4); /* 4 MiB */
	for (int i = 0; i < ISLANDS; i++) {
		off_t at = i * (SIZE / 4) - (i == 4) * 4096;

		CHECK_EQ(pread(fd, page, sizeof(page), at), 4096);
		CHECK(page[0] == 'a' + i && page[4095] == 'a' + i);
		CHECK_EQ(pread(fd, page, 1, i == 4 ? at - 1 : at + 4096), 1);
		CHECK_EQ(page[0], 0);
	}
	test_passed();
}

/* EXPECT-REFUSAL: deleted|removed */
/* A removed directory that is still open cannot be made again. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	struct stat st;
	int fd;

	CHECK(mkdir("gone", 0700) == 0);
	fd = open("gone", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && rmdir("gone") == 0);

	test_ready();

	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	test_passed();
}

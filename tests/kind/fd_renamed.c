/* A file that was renamed while open, with another one in its old place. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	int fd = open("old", O_CREAT | O_RDWR, 0600);
	struct stat by_path, by_fd;
	char text[8] = "";

	CHECK(fd >= 0 && write(fd, "first", 5) == 5);
	CHECK(mkdir("elsewhere", 0700) == 0 && rename("old", "elsewhere/new") == 0);
	CHECK(close(open("old", O_CREAT | O_WRONLY | O_EXCL, 0600)) == 0);

	test_ready();

	CHECK(stat("elsewhere/new", &by_path) == 0 && fstat(fd, &by_fd) == 0);
	CHECK_EQ(by_fd.st_ino, by_path.st_ino);
	CHECK(pread(fd, text, 5, 0) == 5 && strcmp(text, "first") == 0);
	test_passed();
}

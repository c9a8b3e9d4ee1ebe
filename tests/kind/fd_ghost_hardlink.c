/* A file whose opened name is gone, but which has another name, is still that file. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	int fd = open("gone", O_CREAT | O_RDWR, 0600);
	struct stat by_fd, by_path;
	char text[16] = "";

	CHECK(fd >= 0 && write(fd, "one inode", 9) == 9);
	CHECK(link("gone", "kept") == 0 && unlink("gone") == 0);

	test_ready();

	CHECK(fstat(fd, &by_fd) == 0 && stat("kept", &by_path) == 0);
	CHECK_EQ(by_fd.st_ino, by_path.st_ino);
	CHECK_EQ(by_fd.st_nlink, 1);
	CHECK_EQ(pwrite(fd, "ONE", 3, 0), 3);
	fd = open("kept", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 9);
	CHECK(strcmp(text, "ONE inode") == 0);
	test_passed();
}

/* A deleted file that the program itself may only write keeps what was written. */
#include "check.h"

int main(void)
{
	int fd = open("log", O_CREAT | O_WRONLY, 0600), reader;
	char path[32], text[16] = "";

	CHECK(fd >= 0 && write(fd, "written", 7) == 7 && unlink("log") == 0);

	test_ready();

	CHECK(read(fd, text, 1) == -1 && errno == EBADF);
	CHECK_EQ(write(fd, " on", 3), 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	CHECK(reader >= 0 && read(reader, text, sizeof(text)) == 10);
	CHECK(strcmp(text, "written on") == 0);
	test_passed();
}

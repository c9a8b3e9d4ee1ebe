/* Named pipes, opened for both ways or at both ends, with something in them. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	char text[16] = "";
	int both, reader, writer, fd;

	CHECK(mkfifo("both", 0600) == 0 && mkfifo("ends", 0600) == 0);
	both = open("both", O_RDWR);
	reader = open("ends", O_RDONLY | O_NONBLOCK);
	writer = open("ends", O_WRONLY);
	CHECK(both >= 0 && reader >= 0 && writer >= 0);
	CHECK(write(both, "in both", 7) == 7 && write(writer, "in ends", 7) == 7);

	test_ready();

	CHECK_EQ(fcntl(both, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	CHECK_EQ(fcntl(reader, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
	CHECK(read(both, text, sizeof(text)) == 7 && strcmp(text, "in both") == 0);
	CHECK(read(reader, text, sizeof(text)) == 7 && strcmp(text, "in ends") == 0);
	fd = open("ends", O_WRONLY | O_NONBLOCK); /* by its name, it is the same pipe */
	CHECK(fd >= 0 && write(fd, "named", 5) == 5 && close(fd) == 0);
	CHECK(read(reader, text, sizeof(text)) == 5 && memcmp(text, "named", 5) == 0);
	CHECK(read(reader, text, 1) == -1 && errno == EAGAIN);
	CHECK(close(writer) == 0 && read(reader, text, 1) == 0);
	test_passed();
}

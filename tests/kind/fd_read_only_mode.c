/* A file that was made read-only while it was open for writing: it could not be opened so again. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	int fd = open("object", O_CREAT | O_RDWR | O_EXCL, 0444); /* as git writes its objects */
	struct stat st;
	char text[8] = "";

	CHECK(fd >= 0 && write(fd, "half", 4) == 4);

	test_ready();

	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK(write(fd, "half", 4) == 4 && pread(fd, text, 8, 0) == 8);
	CHECK(memcmp(text, "halfhalf", 8) == 0);
	CHECK(fstat(fd, &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0444);
	test_passed();
}

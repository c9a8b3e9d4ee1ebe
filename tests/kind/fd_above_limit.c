/* A descriptor whose number the program itself may no longer open: it lowered the limit since. */
#include <sys/resource.h>

#include "check.h"

int main(void)
{
	struct rlimit low = {32, 32}, now;
	int fd = open("file", O_CREAT | O_RDWR, 0600);
	char text[8] = "";

	CHECK(fd >= 0 && write(fd, "high up", 7) == 7);
	CHECK(dup2(fd, 900) == 900 && close(fd) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);

	test_ready();

	CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
	CHECK(now.rlim_cur == 32 && now.rlim_max == 32);
	CHECK(pread(900, text, 7, 0) == 7 && strcmp(text, "high up") == 0);
	CHECK(dup2(900, 800) == -1 && errno == EBADF);
	test_passed();
}

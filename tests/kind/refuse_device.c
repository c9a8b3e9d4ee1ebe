/* EXPECT-REFUSAL: /dev/fuse */
/* NEEDS-FILE: /dev/fuse */
/* A device of which nothing is known: opening it again would not make it the same. */
#include "check.h"

int main(void)
{
	int fd = open("/dev/fuse", O_RDWR);

	if (fd < 0)
		SKIP("/dev/fuse may not be opened here: %s", strerror(errno));

	test_ready();

	CHECK(fcntl(fd, F_GETFD) >= 0);
	test_passed();
}

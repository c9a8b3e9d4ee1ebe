/* LEVELS: root */
/* A program that changed its root directory sees the same root. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	struct stat root, was, is;

	CHECK(stat("/", &root) == 0);
	if (chroot(".") < 0)
		SKIP("chroot is not permitted here");
	CHECK(chdir("/") == 0 && stat("/", &was) == 0);
	CHECK(was.st_ino != root.st_ino || was.st_dev != root.st_dev);

	test_ready();

	CHECK(stat("/", &is) == 0);
	CHECK(is.st_dev == was.st_dev && is.st_ino == was.st_ino);
	CHECK(access("/ready", F_OK) == 0 && access("/proc", F_OK) < 0);
	test_passed();
}

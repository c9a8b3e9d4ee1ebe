/* The executable link leads to the program's own file, by the same path. */
#include <limits.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	char before[PATH_MAX] = "", after[PATH_MAX] = "";
	struct stat was, is;

	CHECK(readlink("/proc/self/exe", before, sizeof(before) - 1) > 0);
	CHECK(stat("/proc/self/exe", &was) == 0);

	test_ready();

	CHECK(readlink("/proc/self/exe", after, sizeof(after) - 1) > 0);
	CHECK(stat("/proc/self/exe", &is) == 0);
	CHECK(strcmp(after, before) == 0);
	CHECK(is.st_dev == was.st_dev && is.st_ino == was.st_ino);
	test_passed();
}

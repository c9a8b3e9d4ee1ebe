/* The working directory, below the one that the program started in. */
#include <limits.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	char before[PATH_MAX], after[PATH_MAX];
	struct stat was, is;

	CHECK(mkdir("sub dir", 0700) == 0 && chdir("sub dir") == 0);
	/* The driver looks in the first directory. */
	CHECK(symlink("../ready", "ready") == 0 && symlink("../go", "go") == 0);
	CHECK(getcwd(before, sizeof(before)) && stat(".", &was) == 0);

	test_ready();

	CHECK(getcwd(after, sizeof(after)) && stat(".", &is) == 0);
	CHECK(strcmp(after, before) == 0);
	CHECK(is.st_dev == was.st_dev && is.st_ino == was.st_ino);
	CHECK(access("ready", F_OK) == 0);
	test_passed();
}

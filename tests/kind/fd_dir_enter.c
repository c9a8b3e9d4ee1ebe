/* A directory that is only kept open can be entered, and has the path that it had. */
#include <limits.h>
#include <sys/stat.h>

#include "procfs.h"

int main(void)
{
	char path[PATH_MAX], name[PATH_MAX];
	int start = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int other, file;

	CHECK(start >= 0 && mkdir("other", 0700) == 0 && getcwd(path, sizeof(path)));
	other = open("other", O_PATH | O_DIRECTORY);
	CHECK(other >= 0);

	test_ready();

	CHECK(fchdir(other) == 0 && getcwd(name, sizeof(name)));
	CHECK(strncmp(name, path, strlen(path)) == 0);
	CHECK(strcmp(name + strlen(path), "/other") == 0);
	CHECK(fchdir(start) == 0 && getcwd(name, sizeof(name)));
	CHECK(strcmp(name, path) == 0);
	CHECK(strcmp(fd_link(start), path) == 0);
	/* Both are of the same mount as the paths are. */
	file = openat(other, "file", O_CREAT | O_WRONLY, 0600);
	CHECK(file >= 0 && linkat(other, "file", AT_FDCWD, "by path", 0) == 0);
	CHECK(renameat(other, "file", AT_FDCWD, "moved") == 0);
	test_passed();
}

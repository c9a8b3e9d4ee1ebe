/* A file without a name (O_TMPFILE): content, position and mode; it can be given one. */
#include <sys/stat.h>

#include "check.h"

static int name_it(int fd, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

int main(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0640), never;
	struct stat st;
	char text[16] = "";

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		SKIP("this file system has no O_TMPFILE");
	never = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600); /* which the kernel does not show */
	CHECK(fd >= 0 && never >= 0);
	CHECK(write(fd, "nameless", 8) == 8 && write(never, "private", 7) == 7);
	CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);

	test_ready();

	CHECK(read(fd, text, sizeof(text)) == 4 && strcmp(text, "less") == 0);
	CHECK(fstat(fd, &st) == 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK(pread(never, text, sizeof(text), 0) == 7 && memcmp(text, "private", 7) == 0);
	/* Also in a private namespace: the description is of the mounts that paths lead to there. */
	CHECK(name_it(fd, "named") == 0 && access("named", R_OK) == 0);
	test_passed();
}

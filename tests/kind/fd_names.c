/* Open files whose names are traps for whoever reads them from /proc. */
#include <sys/stat.h>

#include "procfs.h"

#define NAMES 9

int main(void)
{
	char longest[256], *links[NAMES];
	const char *names[NAMES] = {
		"kept (deleted)", "new\nline", "tab\tand space ", "\\040\\", "\xff\xfe\x80",
		"socket:[1]", "..hidden", "memfd:x", longest,
	};
	struct stat by_path, by_fd;
	int fds[NAMES];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	for (int i = 0; i < NAMES; i++) {
		fds[i] = open(names[i], O_CREAT | O_RDWR | O_EXCL, 0600);
		CHECK(fds[i] >= 0);
		CHECK_EQ(write(fds[i], names[i], strlen(names[i])), strlen(names[i]));
		links[i] = fd_link(fds[i]);
	}

	test_ready();

	for (int i = 0; i < NAMES; i++) {
		CHECK(strcmp(fd_link(fds[i]), links[i]) == 0);
		CHECK(stat(names[i], &by_path) == 0 && fstat(fds[i], &by_fd) == 0);
		CHECK_EQ(by_fd.st_ino, by_path.st_ino);
		CHECK_EQ(lseek(fds[i], 0, SEEK_CUR), strlen(names[i]));
	}
	test_passed();
}

/* Which mappings a core dump of the program would have. */
#include "procfs.h"

int main(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
	char *before;

	CHECK(fd >= 0 && write(fd, "0x1a5", 5) == 5);
	close(fd);
	before = procfs_read("/proc/self/coredump_filter", NULL);
	CHECK(strcmp(before, "000001a5\n") == 0);

	test_ready();

	CHECK(strcmp(procfs_read("/proc/self/coredump_filter", NULL), before) == 0);
	test_passed();
}

/* A program that offered itself to the out-of-memory killer goes on doing so. */
#include "procfs.h"

int main(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	char *before;

	CHECK(fd >= 0 && write(fd, "567", 3) == 3);
	close(fd);
	before = procfs_read("/proc/self/oom_score_adj", NULL);
	CHECK(strcmp(before, "567\n") == 0);

	test_ready();

	CHECK(strcmp(procfs_read("/proc/self/oom_score_adj", NULL), before) == 0);
	test_passed();
}

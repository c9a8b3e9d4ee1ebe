/* The name of the main thread, chosen so that a careless reader of /proc/PID/stat stumbles. */
#include <sys/prctl.h>

#include "procfs.h"

int main(void)
{
	static const char name[] = "a) R 1 (\n\\x\x80 ";
	char now[16];

	CHECK(prctl(PR_SET_NAME, name) == 0);

	test_ready();

	CHECK(prctl(PR_GET_NAME, now) == 0);
	CHECK(strcmp(now, name) == 0);
	CHECK(strncmp(procfs_read("/proc/self/comm", NULL), name, strlen(name)) == 0);
	test_passed();
}

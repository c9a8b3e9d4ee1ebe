/* A program that switched huge pages off for itself has them off. */
#include <sys/prctl.h>

#include "procfs.h"

int main(void)
{
	CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	CHECK(strcmp(procfs_value("/proc/self/status", "THP_enabled"), "0") == 0);
	test_passed();
}

/* The promise never to gain privileges (no_new_privs) still binds. */
#include <sys/prctl.h>

#include "procfs.h"

int main(void)
{
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK(strcmp(procfs_value("/proc/self/status", "NoNewPrivs"), "1") == 0);
	test_passed();
}

/* LEVELS: root */
/* Root may save a program that forbids to be traced, and it comes back forbidding it. */
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	test_passed();
}

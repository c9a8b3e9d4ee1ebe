/* A program that takes in its orphaned descendants goes on doing so. */
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	int on = 0;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);

	test_ready();

	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &on) == 0);
	CHECK_EQ(on, 1);
	test_passed();
}

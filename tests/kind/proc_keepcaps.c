/* The flag that keeps capabilities over a change of user ids. */
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
	test_passed();
}

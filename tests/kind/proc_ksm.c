/* The wish to have equal pages merged, for the whole process. */
#include <sys/prctl.h>

#include "check.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

int main(void)
{
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) < 0)
		SKIP("PR_SET_MEMORY_MERGE is not permitted here, or not known");

	test_ready();

	CHECK_EQ(prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0), 1);
	test_passed();
}

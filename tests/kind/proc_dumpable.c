/* EXPECT-REFUSAL: dumpable */
/* LEVELS: none cap */
/* A program that nobody may trace cannot be saved without root, and is told so about. */
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	test_passed();
}

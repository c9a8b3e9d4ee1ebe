/* The nice value that the program gave itself. */
#include <sys/resource.h>

#include "check.h"

int main(void)
{
	int nice;

	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
	nice = getpriority(PRIO_PROCESS, 0);
	CHECK_EQ(nice, 5);

	test_ready();

	CHECK_EQ(getpriority(PRIO_PROCESS, 0), nice);
	test_passed();
}

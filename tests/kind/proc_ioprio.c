/* The class and level of the program's I/O priority. */
#include <linux/ioprio.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	const int lowest = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7);

	CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, lowest) == 0);

	test_ready();

	CHECK_EQ(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), lowest);
	test_passed();
}

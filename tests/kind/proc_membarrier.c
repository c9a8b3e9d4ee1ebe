/* The barriers that the program said it would use (membarrier(2)), and no others, are permitted. */
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "check.h"

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

int main(void)
{
	CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == -1);
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) < 0)
		SKIP("this kernel has no expedited membarrier(2)");

	test_ready();

	CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
	CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) == -1);
	test_passed();
}

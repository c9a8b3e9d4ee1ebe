/* EXPECT-REFUSAL: cannot map|address space */
/* A program without a page of address space to spare: nothing can be asked from inside it. */
#include <sys/mman.h>
#include <sys/resource.h>

#include "procfs.h"

int main(void)
{
	struct rlimit limit;
	char *size = procfs_value("/proc/self/status", "VmSize");

	limit.rlim_cur = limit.rlim_max = strtoul(size, NULL, 10) * 1024;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);

	test_ready();

	CHECK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	test_passed();
}

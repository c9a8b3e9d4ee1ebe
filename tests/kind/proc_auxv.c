/* The auxiliary vector: what the kernel tells of it, and what the C library finds in it. */
#include <sys/auxv.h>

#include "procfs.h"

int main(void)
{
	size_t before_len, after_len;
	char *before = procfs_read("/proc/self/auxv", &before_len), *after;
	unsigned long random = getauxval(AT_RANDOM), vdso = getauxval(AT_SYSINFO_EHDR);
	char bytes[16];

	CHECK(before_len > 0 && random && vdso);
	memcpy(bytes, (void *)random, sizeof(bytes));

	test_ready();

	after = procfs_read("/proc/self/auxv", &after_len);
	CHECK_EQ(after_len, before_len);
	CHECK(memcmp(after, before, after_len) == 0);
	CHECK_EQ(getauxval(AT_SYSINFO_EHDR), vdso);
	CHECK(memcmp((void *)random, bytes, sizeof(bytes)) == 0);
	CHECK(memcmp((void *)vdso, "\177ELF", 4) == 0);
	test_passed();
}

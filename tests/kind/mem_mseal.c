/* EXPECT-REFUSAL: seal */
/*
 * Shows: a sealed mapping (mseal(2), Linux 6.10) is refused, since nothing
 * tells from outside how to seal the restored one at the right moment, and
 * the program goes on unharmed.
 */
#include <sys/syscall.h>

#include "maps.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define SIZE (4 * PAGE)

int main(void)
{
	char *memory = map_alone(SIZE, PROT_READ | PROT_WRITE);

	pattern_fill(memory, SIZE, 1);
	if (syscall(SYS_mseal, memory, SIZE, 0) < 0)
		SKIP("this kernel has no mseal(2)");
	struct map_info before = map_at(memory);

	CHECK(map_has_flag(&before, "sl"));

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK(pattern_is(memory, SIZE, 1));
	CHECK(munmap(memory, SIZE) < 0 && errno == EPERM);
	test_passed();
}

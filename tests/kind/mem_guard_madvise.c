/*
 * Shows: guard pages within a mapping (MADV_GUARD_INSTALL, Linux 6.13), as
 * the C library makes them for thread stacks from glibc 2.42 on.
 */
#include "faults.h"
#include "maps.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define SIZE (16 * PAGE)

int main(void)
{
	char *memory = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *untouched = map_alone(SIZE, PROT_READ | PROT_WRITE);

	pattern_fill(memory, SIZE, 1);
	if (madvise(memory + 4 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) < 0)
		SKIP("this kernel has no MADV_GUARD_INSTALL");
	CHECK(madvise(untouched, PAGE, MADV_GUARD_INSTALL) == 0);
	struct map_info before = map_at(memory);

	test_ready();

	CHECK_MAP_SAME(before);
	for (unsigned long at = 0; at < SIZE; at += PAGE)
		CHECK_EQ(faults_on_read(memory + at), at == 4 * PAGE || at == 5 * PAGE);
	for (unsigned long at = 0; at < SIZE; at += PAGE)
		CHECK_EQ(faults_on_write(untouched + at), at == 0);

	uint64_t *whole = calloc(1, SIZE);

	CHECK(whole);
	pattern_fill(whole, SIZE, 1);
	CHECK(memcmp(memory, whole, 4 * PAGE) == 0);
	CHECK(memcmp(memory + 6 * PAGE, (char *)whole + 6 * PAGE, SIZE - 6 * PAGE) == 0);

	CHECK(madvise(memory + 4 * PAGE, 2 * PAGE, MADV_GUARD_REMOVE) == 0);
	CHECK(all_zero(memory + 4 * PAGE, 2 * PAGE));
	test_passed();
}

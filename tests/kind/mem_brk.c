/*
 * Shows: the heap that brk(2) makes: its content, its name, its end as kernel
 * and C library know it, and that it still grows and shrinks.
 */
#include <sys/syscall.h>

#include "maps.h"

#define MIB (1L << 20)

static char *kernel_brk(void)
{
	return (char *)syscall(SYS_brk, 0);
}

int main(void)
{
	/* Page-aligned, so that the rest is easily counted. */
	char *start = (char *)(((unsigned long)sbrk(0) + PAGE - 1) / PAGE * PAGE);

	CHECK(brk(start + 8 * MIB) == 0);
	pattern_fill(start, 8 * MIB, 1);
	CHECK(sbrk(-MIB - 100) == start + 8 * MIB);
	char *end = sbrk(0);
	struct map_info before = map_at(start);

	CHECK(!strcmp(before.path, "[heap]"));

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK(sbrk(0) == end);
	CHECK(kernel_brk() == end);
	CHECK(pattern_is(start, 6 * MIB, 1));

	CHECK(sbrk(16 * MIB) == end);
	CHECK(kernel_brk() == end + 16 * MIB);
	CHECK(all_zero((void *)before.end, 8 * MIB));
	memset(end, 'x', 16 * MIB);
	CHECK(!strcmp(map_at(end + 15 * MIB).path, "[heap]"));
	CHECK(pattern_is(start, 6 * MIB, 1));

	CHECK(brk(start + MIB) == 0);
	CHECK(kernel_brk() == start + MIB);
	CHECK(map_at(start).end == (unsigned long)(start + MIB));
	CHECK(brk(start) == 0);
	/* The kernel knows where the heap began, too, and refuses to go below. */
	CHECK((char *)syscall(SYS_brk, before.start - PAGE) == start);
	test_passed();
}

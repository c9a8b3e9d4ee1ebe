/*
 * Shows: pages that were huge come back huge: those that the program asked
 * for, and those that are huge though nothing says that they should be.
 */
#include "maps.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2UL << 20)
#define SIZE (32UL << 20)

static char *map_aligned(void)
{
	char *place = map_place(SIZE + HUGE);

	place = (char *)(((unsigned long)place + HUGE - 1) / HUGE * HUGE);
	CHECK(mmap(place, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == place);
	return place;
}

int main(void)
{
	char *asked = map_aligned();
	char *collapsed = map_aligned();

	if (madvise(asked, SIZE, MADV_HUGEPAGE) < 0)
		SKIP("this kernel has no transparent huge pages");
	pattern_fill(asked, SIZE, 1);
	pattern_fill(collapsed, SIZE, 2);
	/* Not every kernel has it; then only the first part is shown. */
	madvise(collapsed, SIZE, MADV_COLLAPSE);
	struct map_info before = map_at(asked), before_collapsed = map_at(collapsed);

	if (!before.anon_huge)
		SKIP("this machine gives no huge pages");

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_MAP_SAME(before_collapsed);
	CHECK(map_at(asked).anon_huge > 0);
	CHECK(!before_collapsed.anon_huge || map_at(collapsed).anon_huge > 0);
	CHECK(pattern_is(asked, SIZE, 1));
	CHECK(pattern_is(collapsed, SIZE, 2));
	test_passed();
}

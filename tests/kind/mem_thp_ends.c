/*
 * Shows: memory that is huge but for its ends is one mapping afterwards, too, though the ends come
 * back in another way than the middle.
 */
#include "maps.h"

#define HUGE (2UL << 20)
#define SIZE (5 * HUGE)

int main(void)
{
	char *place = map_place(SIZE + 2 * HUGE);
	char *memory = (char *)(((unsigned long)place + HUGE - 1) / HUGE * HUGE) + HUGE / 2;

	CHECK(mmap(memory, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == memory);
	if (madvise(memory, SIZE, MADV_HUGEPAGE) < 0)
		SKIP("this kernel has no transparent huge pages");
	pattern_fill(memory, SIZE, 1);
	struct map_info before = map_at(memory);

	if (!before.anon_huge)
		SKIP("this machine gives no huge pages");

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK(pattern_is(memory, SIZE, 1));
	test_passed();
}

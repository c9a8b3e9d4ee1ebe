/*
 * Shows: a sparse reserve of 100 GB with three pages in use comes back with
 * those three pages and costs nothing else.
 */
#include "maps.h"

#define SIZE (100UL << 30)

int main(void)
{
	char *reserve =
		mmap(map_place(SIZE), SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (reserve == MAP_FAILED)
		SKIP("this machine does not let me reserve 100 GB: %s", strerror(errno));

	const unsigned long used[] = {0, SIZE / 3 / PAGE * PAGE, SIZE - PAGE};

	for (int i = 0; i < 3; i++)
		pattern_fill(reserve + used[i], PAGE, 10 + i);
	struct map_info before = map_at(reserve);

	CHECK(map_has_flag(&before, "nr"));

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK(map_at(reserve).rss <= before.rss);
	for (int i = 0; i < 3; i++)
		CHECK(pattern_is(reserve + used[i], PAGE, 10 + i));
	/* A prime stride: it meets no page in use and no power of two. */
	for (unsigned long at = 7919 * PAGE; at < SIZE - PAGE; at += 99991 * PAGE)
		CHECK(all_zero(reserve + at, PAGE));
	CHECK(all_zero(reserve + used[1] - PAGE, PAGE));
	CHECK(all_zero(reserve + used[1] + PAGE, PAGE));
	test_passed();
}

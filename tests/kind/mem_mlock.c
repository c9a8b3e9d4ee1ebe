/* Shows: locked memory is locked again, wholly or as it is touched. */
#include "maps.h"

#define SIZE (16 * PAGE)

int main(void)
{
	char *locked = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *on_fault = map_alone(SIZE, PROT_READ | PROT_WRITE);

	pattern_fill(locked, PAGE, 1);
	pattern_fill(on_fault, PAGE, 2);
	if (mlock(locked, SIZE) < 0 || mlock2(on_fault, SIZE, MLOCK_ONFAULT) < 0)
		SKIP("this user may not lock 128 KiB: %s", strerror(errno));
	struct map_info before = map_at(locked), before_on_fault = map_at(on_fault);

	CHECK(map_has_flag(&before, "lo") && map_has_flag(&before_on_fault, "lo"));
	CHECK_EQ(before.rss, SIZE / 1024);
	CHECK(before_on_fault.rss < before.rss);

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_MAP_SAME(before_on_fault);
	CHECK_EQ(map_at(locked).rss, before.rss);
	CHECK_EQ(map_at(on_fault).rss, before_on_fault.rss);
	CHECK(pattern_is(locked, PAGE, 1) && all_zero(locked + PAGE, SIZE - PAGE));
	CHECK(pattern_is(on_fault, PAGE, 2) && all_zero(on_fault + PAGE, SIZE - PAGE));
	CHECK(munlock(locked, SIZE) == 0);
	struct map_info now = map_at(locked);

	CHECK(!map_has_flag(&now, "lo"));
	test_passed();
}

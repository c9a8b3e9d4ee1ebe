/*
 * Shows: mlockall(MCL_FUTURE) still holds for mappings to come, and has not
 * reached those that were there before.
 */
#include "maps.h"

#define SIZE (16 * PAGE)

int main(void)
{
	char *old = map_alone(SIZE, PROT_READ | PROT_WRITE);

	pattern_fill(old, PAGE, 1);
	if (mlockall(MCL_FUTURE | MCL_ONFAULT) < 0)
		SKIP("this user may not lock memory: %s", strerror(errno));
	char *young = map_alone(SIZE, PROT_READ | PROT_WRITE);
	struct map_info before = map_at(old), before_young = map_at(young);

	pattern_fill(young, PAGE, 2);
	CHECK(!map_has_flag(&before, "lo") && map_has_flag(&before_young, "lo"));

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_MAP_SAME(before_young);
	CHECK(pattern_is(old, PAGE, 1) && pattern_is(young, PAGE, 2));
	struct map_info now = map_at(map_alone(SIZE, PROT_READ | PROT_WRITE));

	CHECK(map_has_flag(&now, "lo"));
	/* On fault, as asked for: nothing is there yet. */
	CHECK_EQ(now.rss, 0);
	CHECK(munlockall() == 0);
	now = map_at(map_alone(SIZE, PROT_READ | PROT_WRITE));
	CHECK(!map_has_flag(&now, "lo"));
	test_passed();
}

/*
 * Shows: PROT_NONE pages that guard a buffer on both sides still fault, and
 * what they guard is intact.
 */
#include "faults.h"
#include "maps.h"

#define INSIDE (8 * PAGE)

int main(void)
{
	char *low = map_alone(INSIDE + 2 * PAGE, PROT_NONE);
	char *inside = low + PAGE;
	char *high = inside + INSIDE;

	CHECK(mprotect(inside, INSIDE, PROT_READ | PROT_WRITE) == 0);
	pattern_fill(inside, INSIDE, 1);
	struct map_info before[] = {map_at(low), map_at(inside), map_at(high)};

	CHECK(faults_on_read(high) && faults_on_write(low + PAGE - 1));

	test_ready();

	for (int i = 0; i < 3; i++)
		CHECK_MAP_SAME(before[i]);
	CHECK(faults_on_read(low + PAGE - 1));
	CHECK(faults_on_write(low + PAGE - 1));
	CHECK(faults_on_read(high));
	CHECK(faults_on_write(high));
	CHECK(pattern_is(inside, INSIDE, 1));
	CHECK(!faults_on_write(inside) && !faults_on_write(high - 1));
	test_passed();
}

/* Shows: 200 MB that do not compress, every byte of it. */
#include "maps.h"

#define SIZE (200UL << 20)

int main(void)
{
	char *memory = map_alone(SIZE, PROT_READ | PROT_WRITE);

	pattern_fill(memory, SIZE, 1);
	struct map_info before = map_at(memory);

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_EQ(map_at(memory).rss, before.rss);
	CHECK(pattern_is(memory, SIZE, 1));
	test_passed();
}

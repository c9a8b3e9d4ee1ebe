/*
 * Shows: pages of zeros, written or only read, come back as zeros, and memory
 * does not grow by it.
 */
#include "maps.h"

#define SIZE (64UL << 20)

int main(void)
{
	char *written = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *only_read = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *read_only = map_alone(SIZE, PROT_READ);
	char *hole = map_alone(SIZE, PROT_READ | PROT_WRITE);

	memset(written, 1, SIZE);
	memset(written, 0, SIZE);
	CHECK(all_zero(only_read, SIZE) && all_zero(read_only, SIZE));
	/* Used once, and given back. */
	memset(hole, 1, SIZE);
	CHECK(madvise(hole, SIZE, MADV_DONTNEED) == 0);
	hole[SIZE / 2] = 'x';
	char *all[] = {written, only_read, read_only, hole};
	struct map_info before[4];

	for (int i = 0; i < 4; i++)
		before[i] = map_at(all[i]);

	test_ready();

	for (int i = 0; i < 4; i++) {
		struct map_info now = map_at(all[i]);

		CHECK_MAP_SAME(before[i]);
		CHECK(now.anonymous <= before[i].anonymous + 64);
		CHECK(now.rss <= before[i].rss + 64);
	}
	CHECK(hole[SIZE / 2] == 'x');
	hole[SIZE / 2] = 0;
	for (int i = 0; i < 4; i++)
		CHECK(all_zero(all[i], SIZE));
	test_passed();
}

/*
 * Shows: where a mapping has some huge pages and some small ones, the small
 * ones do not come back huge: memory would grow 500-fold by it.
 */
#include "maps.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2UL << 20)
#define SIZE (64 * HUGE)

int main(void)
{
	char *place = map_place(SIZE + HUGE);
	char *memory = (char *)(((unsigned long)place + HUGE - 1) / HUGE * HUGE);

	CHECK(mmap(memory, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == memory);
	for (unsigned long at = HUGE; at < SIZE; at += HUGE)
		memory[at + 7 * PAGE] = 'x';
	pattern_fill(memory, HUGE, 1);
	if (madvise(memory, HUGE, MADV_COLLAPSE) < 0)
		SKIP("this kernel does not collapse pages when asked: %s", strerror(errno));
	struct map_info before = map_at(memory);

	if (before.anon_huge * 1024 != HUGE)
		SKIP("this machine gives %ld KiB of huge pages where 2048 were asked for",
		     before.anon_huge);

	test_ready();

	struct map_info now = map_at(memory);

	CHECK_MAP_SAME(before);
	CHECK(now.rss <= before.rss + 64);
	CHECK(pattern_is(memory, HUGE, 1));
	for (unsigned long at = HUGE; at < SIZE; at += HUGE)
		CHECK(memory[at + 7 * PAGE] == 'x' && memory[at] == 0);
	test_passed();
}

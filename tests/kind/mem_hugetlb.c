/* Shows: memory of hugetlb pages, private and shared, keeps content and kind. */
#include "maps.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

#define HUGE (2UL << 20)

static char *map_huge(int flags)
{
	char *address = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
			     flags | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

	if (address == MAP_FAILED)
		SKIP("this machine has no free hugetlb pages: %s", strerror(errno));
	return address;
}

int main(void)
{
	char *private = map_huge(MAP_PRIVATE);
	char *shared = map_huge(MAP_SHARED);

	/* Of each only one page is in use. */
	pattern_fill(private, HUGE, 1);
	pattern_fill(shared + HUGE, HUGE, 2);
	struct map_info before[] = {map_at(private), map_at(shared)};

	CHECK(map_has_flag(&before[0], "ht") && map_has_flag(&before[1], "ht"));

	test_ready();

	CHECK_MAP_SAME(before[0]);
	/* Nobody gave the shared one a name: it may have another. */
	strcpy(before[1].path, map_at(shared).path);
	CHECK_MAP_SAME(before[1]);
	CHECK(pattern_is(private, HUGE, 1));
	CHECK(pattern_is(shared + HUGE, HUGE, 2));
	CHECK(all_zero(private + HUGE, HUGE));
	CHECK(all_zero(shared, HUGE));
	test_passed();
}

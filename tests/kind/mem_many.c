/* Shows: 12,000 mappings, each with its protection and its content. */
#include "maps.h"

#define COUNT 12000UL

static int prot_of(unsigned long i)
{
	return i % 3 == 2 ? PROT_NONE : i % 3 ? PROT_READ : PROT_READ | PROT_WRITE;
}

static void check_all(const char *first)
{
	static const char *const perms[] = {"rw-p", "r--p", "---p"};
	unsigned long seen = 0, at = (unsigned long)first;
	struct map_walk walk;
	struct map_info map;

	map_walk_begin(&walk, "/proc/self/maps");
	while (map_walk_next(&walk, &map)) {
		if (map.start < at || map.start >= at + COUNT * PAGE)
			continue;
		CHECK_EQ(map.start, at + seen * PAGE);
		CHECK_EQ(map.end - map.start, PAGE);
		CHECK(!strcmp(map.perms, perms[seen % 3]));
		seen++;
	}
	CHECK_EQ(seen, COUNT);
}

int main(void)
{
	char *memory = map_alone(COUNT * PAGE, PROT_READ | PROT_WRITE);

	for (unsigned long i = 0; i < COUNT; i++) {
		*(unsigned long *)(memory + i * PAGE + i % 512 * 8) = ~i;
		CHECK(mprotect(memory + i * PAGE, PAGE, prot_of(i)) == 0);
	}
	check_all(memory);

	test_ready();

	check_all(memory);
	CHECK(mprotect(memory, COUNT * PAGE, PROT_READ | PROT_WRITE) == 0);
	for (unsigned long i = 0; i < COUNT; i++) {
		unsigned long *word = (unsigned long *)(memory + i * PAGE + i % 512 * 8);

		CHECK_EQ(*word, ~i);
		*word = 0;
	}
	CHECK(all_zero(memory, COUNT * PAGE));
	test_passed();
}

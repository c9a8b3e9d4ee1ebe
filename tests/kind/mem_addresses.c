/*
 * Shows: mappings at the edges of the address space, where a restoring process
 * may have its own things: just above mmap_min_addr and up at the stack.
 */
#include "maps.h"

static unsigned long min_address(void)
{
	unsigned long lowest = 65536;
	FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");

	if (file) {
		CHECK(fscanf(file, "%lu", &lowest) == 1);
		fclose(file);
	}
	return lowest > PAGE ? lowest : PAGE;
}

static char *try_map(unsigned long address)
{
	char *memory = mmap((void *)address, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int main(void)
{
	struct map_info stack, before[16];
	char *memory[16];
	int count = 0;

	CHECK(map_find_name("[stack]", &stack));
	const unsigned long wanted[] = {
		min_address(),
		min_address() + 3 * PAGE,
		0x7ffff000, /* the last page of 31 bits */
		0x80000000, /* and the first beyond */
		0xfffff000,
		0x100000000,
		0x10000000000,
		0x7f0000000000,
		stack.end + 16 * PAGE,
		stack.end + PAGE,
		0x7fffffffe000, /* the last page of all */
	};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		memory[count] = try_map(wanted[i]);
		if (memory[count])
			pattern_fill(memory[count], PAGE, (unsigned int)count), count++;
	}
	CHECK(count >= 6);
	for (int i = 0; i < count; i++)
		before[i] = map_at(memory[i]);

	test_ready();

	for (int i = 0; i < count; i++) {
		CHECK_MAP_SAME(before[i]);
		CHECK(pattern_is(memory[i], PAGE, (unsigned int)i));
		/* No more is there than was before. */
		CHECK(before[i].end - before[i].start <= 4 * PAGE);
	}
	test_passed();
}

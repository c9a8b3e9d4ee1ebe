/* EXPECT-REFUSAL: droppable */
/* Shows: memory that the kernel may drop at any time (Linux 6.11) is refused. */
#include "maps.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

int main(void)
{
	char *memory = mmap(map_place(PAGE), PAGE, PROT_READ | PROT_WRITE,
			    MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory == MAP_FAILED)
		SKIP("this kernel has no droppable memory");
	struct map_info before = map_at(memory);

	test_ready();

	CHECK_MAP_SAME(before);
	test_passed();
}

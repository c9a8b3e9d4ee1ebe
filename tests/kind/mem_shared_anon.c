/*
 * Shows: anonymous shared memory, and that two mappings of the same object
 * still are the same memory, also where only one of them maps it.
 */
#include <sys/wait.h>

#include "maps.h"

#define SIZE (16 * PAGE)

int main(void)
{
	char *one = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(one != MAP_FAILED && other != MAP_FAILED);
	pattern_fill(one, SIZE, 1);
	pattern_fill(other, SIZE, 2);
	/* An old size of 0 maps the same object a second time. */
	char *twin = mremap(one, 0, SIZE, MREMAP_MAYMOVE);

	CHECK(twin != MAP_FAILED);
	CHECK(munmap(one + 4 * PAGE, 4 * PAGE) == 0);
	CHECK(munmap(twin, 2 * PAGE) == 0);
	CHECK(mprotect(twin + 2 * PAGE, SIZE - 2 * PAGE, PROT_READ) == 0);
	struct map_info before[] = {map_at(one), map_at(one + 8 * PAGE), map_at(twin + 2 * PAGE),
				    map_at(other)};

	CHECK(before[0].inode == before[2].inode && before[0].inode != before[3].inode);

	test_ready();

	for (int i = 0; i < 4; i++) {
		struct map_info now = map_at((void *)before[i].start);

		/* The name does not matter: nobody gave it one. */
		strcpy(before[i].path, now.path);
		CHECK(now.path[0] == '/');
		CHECK_MAP_SAME(before[i]);
	}
	CHECK_EQ(map_at(one).inode, map_at(twin + 2 * PAGE).inode);
	CHECK(map_at(one).inode != map_at(other).inode);
	CHECK(pattern_is(other, SIZE, 2));
	CHECK(pattern_is(one, 4 * PAGE, 1));

	/* Together they still show the whole of it. */
	char whole[SIZE] __attribute__((aligned(8)));

	memcpy(whole, one, 2 * PAGE);
	memcpy(whole + 2 * PAGE, twin + 2 * PAGE, SIZE - 2 * PAGE);
	CHECK(pattern_is(whole, SIZE, 1));

	one[2 * PAGE] = 'x';
	one[SIZE - 1] = 'y';
	CHECK(twin[2 * PAGE] == 'x' && twin[SIZE - 1] == 'y');
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		one[3 * PAGE] = 'z';
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(twin[3 * PAGE] == 'z');
	test_passed();
}

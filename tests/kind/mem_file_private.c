/*
 * Shows: a private mapping of a file.  Pages that the program has written are
 * its own; the others still are the file's and follow it.
 */
#include "maps.h"

#define PAGES 16

int main(void)
{
	char content[PAGES * PAGE] __attribute__((aligned(8)));
	int fd = open("data", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	pattern_fill(content, sizeof content, 1);
	CHECK(write(fd, content, sizeof content) == sizeof content);
	char *map = mmap(map_place(14 * PAGE), 14 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 2 * PAGE);
	char *read_only = mmap(map_place(4 * PAGE), 4 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);

	CHECK(map != MAP_FAILED && read_only != MAP_FAILED);
	pattern_fill(map + 3 * PAGE, PAGE, 2);
	pattern_fill(map + 13 * PAGE, PAGE, 3);
	/* Zeros that are not the file's. */
	memset(map + 8 * PAGE, 0, PAGE);
	/* The same content, and yet its own page. */
	*(volatile char *)(map + 6 * PAGE) = content[8 * PAGE];
	/* Written, then protected: nothing in its flags says so. */
	pattern_fill(read_only + PAGE, PAGE, 4);
	CHECK(mprotect(read_only, 4 * PAGE, PROT_READ) == 0);
	close(fd);
	CHECK(content[2 * PAGE] == *(volatile char *)map);
	struct map_info before = map_at(map), before_read_only = map_at(read_only);

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_MAP_SAME(before_read_only);
	CHECK_EQ(map_at(map).inode, before.inode);
	CHECK(map_at(map).anonymous <= before.anonymous);
	CHECK(pattern_is(map + 3 * PAGE, PAGE, 2));
	CHECK(pattern_is(map + 13 * PAGE, PAGE, 3));
	CHECK(all_zero(map + 8 * PAGE, PAGE));
	CHECK(pattern_is(read_only + PAGE, PAGE, 4));
	CHECK(memcmp(read_only, content, PAGE) == 0);
	for (int i = 0; i < 13; i++)
		CHECK(i == 3 || i == 8 || !memcmp(map + i * PAGE, content + (i + 2) * PAGE, PAGE));

	/* Now the file changes throughout: only the clean pages follow. */
	memset(content, 'n', sizeof content);
	fd = open("data", O_WRONLY | O_CLOEXEC);
	CHECK(pwrite(fd, content, sizeof content, 0) == sizeof content);
	for (int i = 0; i < 14; i++)
		CHECK_EQ(map[i * PAGE] == 'n', i != 3 && i != 6 && i != 8 && i != 13);
	CHECK(read_only[0] == 'n' && pattern_is(read_only + PAGE, PAGE, 4));
	test_passed();
}

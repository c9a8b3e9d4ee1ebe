/*
 * Shows: shared mappings of a file: what is written through one reaches the
 * file and the other, the descriptor closed long ago, and a mapping from a
 * read-only descriptor never becomes writable.
 */
#include "maps.h"

#define SIZE (8 * PAGE)

int main(void)
{
	int fd = open("data", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 2 * SIZE) == 0);
	char *writable = mmap(map_place(SIZE), SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 2 * PAGE);
	close(fd);
	fd = open("data", O_RDONLY | O_CLOEXEC);
	char *read_only = mmap(map_place(2 * SIZE), 2 * SIZE, PROT_READ,
			       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	close(fd);
	fd = open("data", O_RDWR | O_CLOEXEC);
	/* Writable by right, not at present. */
	char *protected =
		mmap(map_place(SIZE), SIZE, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, SIZE);
	close(fd);
	CHECK(writable != MAP_FAILED && read_only != MAP_FAILED && protected != MAP_FAILED);
	pattern_fill(writable, SIZE, 1);
	struct map_info before[] = {map_at(writable), map_at(read_only), map_at(protected)};

	CHECK(!map_has_flag(&before[1], "mw") && map_has_flag(&before[2], "mw"));

	test_ready();

	for (int i = 0; i < 3; i++) {
		CHECK_MAP_SAME(before[i]);
		CHECK_EQ(map_at((void *)before[i].start).inode, before[i].inode);
	}
	CHECK(pattern_is(writable, SIZE, 1));
	CHECK(pattern_is(read_only + 2 * PAGE, SIZE, 1));
	CHECK(all_zero(read_only, 2 * PAGE));

	memset(writable + PAGE, 'x', PAGE);
	CHECK(read_only[3 * PAGE] == 'x');
	char byte = 0;

	fd = open("data", O_RDONLY | O_CLOEXEC);
	CHECK(pread(fd, &byte, 1, 4 * PAGE - 1) == 1 && byte == 'x');
	CHECK(mprotect(read_only, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	CHECK(mprotect(protected, PAGE, PROT_READ | PROT_WRITE) == 0);
	protected[0] = 'y';
	CHECK(pread(fd, &byte, 1, SIZE) == 1 && byte == 'y');
	test_passed();
}

/*
 * Shows: a file that lives on only in mappings, its name and its descriptors
 * gone: shared mappings stay one file, to its end, and a private one follows it.
 */
#include "maps.h"

#define PAGES 8

static char *map_part(int fd, int prot, int flags, unsigned long first, unsigned long pages)
{
	/* The place is twice as long: one of them grows later. */
	char *address = mmap(map_place(2 * PAGES * PAGE), pages * PAGE, prot,
			     flags | MAP_FIXED_NOREPLACE, fd, (off_t)(first * PAGE));

	CHECK(address != MAP_FAILED);
	return address;
}

int main(void)
{
	char content[PAGES * PAGE] __attribute__((aligned(8)));
	int fd = open("data", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	pattern_fill(content, sizeof content, 1);
	CHECK(write(fd, content, sizeof content) == sizeof content);
	/* On both sides of the others, should somebody go through them in order. */
	char *first = map_part(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, 6);
	char *shared = map_part(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 2, 3);
	char *reader = map_part(fd, PROT_READ, MAP_SHARED, 0, 6);
	char *private = map_part(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 2, 3);

	CHECK(unlink("data") == 0 && close(fd) == 0);
	pattern_fill(private + PAGE, PAGE, 2);
	pattern_fill(first + 4 * PAGE, PAGE, 3);
	struct map_info before[] = {map_at(shared), map_at(reader), map_at(private), map_at(first)};

	test_ready();

	for (int i = 0; i < 4; i++) {
		struct map_info now = map_at((void *)before[i].start);

		/* The name that it had may be taken by now, that it has none is sure. */
		CHECK(strstr(now.path, "(deleted)"));
		CHECK_EQ(now.end - now.start, before[i].end - before[i].start);
		CHECK_EQ(now.offset, before[i].offset);
		CHECK(!strcmp(now.perms, before[i].perms));
		CHECK(!strcmp(now.vm_flags, before[i].vm_flags));
	}
	CHECK_EQ(map_at(shared).inode, map_at(reader).inode);
	CHECK_EQ(map_at(shared).inode, map_at(private).inode);
	CHECK(memcmp(reader, content, 6 * PAGE) == 0);
	CHECK(memcmp(shared, content + 2 * PAGE, 3 * PAGE) == 0);
	CHECK(pattern_is(private + PAGE, PAGE, 2));
	CHECK(memcmp(private + 2 * PAGE, content + 4 * PAGE, PAGE) == 0);
	CHECK(pattern_is(first + 4 * PAGE, PAGE, 3));
	CHECK(memcmp(first + 5 * PAGE, content + 5 * PAGE, PAGE) == 0);

	shared[0] = 'x';
	shared[PAGE] = 'y';
	CHECK(reader[2 * PAGE] == 'x' && reader[3 * PAGE] == 'y');
	CHECK(private[0] == 'x' && pattern_is(private + PAGE, PAGE, 2));

	/* What no mapping showed is still in the file. */
	shared = mremap(shared, 3 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	CHECK(shared != MAP_FAILED);
	CHECK(memcmp(shared + 3 * PAGE, content + 5 * PAGE, 3 * PAGE) == 0);
	test_passed();
}

/*
 * Shows: memfds that are mapped, shared and private, with the descriptor kept
 * and with the descriptor closed.
 */
#include <sys/stat.h>

#include "maps.h"

#define SIZE (8 * PAGE)

static char *map_fd(int fd, int flags, unsigned long pages, unsigned long offset)
{
	char *address = mmap(map_place(pages * PAGE), pages * PAGE, PROT_READ | PROT_WRITE,
			     flags | MAP_FIXED_NOREPLACE, fd, (off_t)(offset * PAGE));

	CHECK(address != MAP_FAILED);
	return address;
}

int main(void)
{
	int kept = memfd_create("kept", MFD_CLOEXEC);
	int closed = memfd_create("closed one", MFD_CLOEXEC);

	CHECK(ftruncate(kept, SIZE) == 0 && ftruncate(closed, SIZE) == 0);
	char *shared = map_fd(kept, MAP_SHARED, 8, 0);
	char *private = map_fd(kept, MAP_PRIVATE, 6, 2);
	char *lonely = map_fd(closed, MAP_SHARED, 4, 0);
	char *lonely_private = map_fd(closed, MAP_PRIVATE, 8, 0);

	pattern_fill(shared, SIZE, 1);
	pattern_fill(private + PAGE, PAGE, 2);
	pattern_fill(lonely, 4 * PAGE, 3);
	pattern_fill(lonely_private + 5 * PAGE, PAGE, 4);
	close(closed);
	struct map_info before[] = {map_at(shared), map_at(private), map_at(lonely),
				    map_at(lonely_private)};
	CHECK(!strcmp(before[2].path, "/memfd:closed one (deleted)"));

	test_ready();

	for (int i = 0; i < 4; i++)
		CHECK_MAP_SAME(before[i]);
	CHECK(pattern_is(shared, SIZE, 1));
	CHECK(pattern_is(private + PAGE, PAGE, 2));
	CHECK(memcmp(private, shared + 2 * PAGE, PAGE) == 0);
	CHECK(pattern_is(lonely, 4 * PAGE, 3));
	CHECK(pattern_is(lonely_private + 5 * PAGE, PAGE, 4));

	struct stat st;

	CHECK(fstat(kept, &st) == 0 && st.st_size == SIZE);
	CHECK_EQ(st.st_ino, map_at(shared).inode);
	CHECK(pwrite(kept, "xyz", 3, 2 * PAGE) == 3);
	CHECK(shared[2 * PAGE] == 'x' && private[0] == 'x');
	CHECK(pwrite(kept, "xyz", 3, 3 * PAGE) == 3);
	CHECK(shared[3 * PAGE] == 'x' && pattern_is(private + PAGE, PAGE, 2));
	lonely[0] = 'u';
	CHECK(lonely_private[0] == 'u');
	lonely_private[PAGE] = (char)(lonely[PAGE] + 1);
	CHECK(lonely[PAGE] != lonely_private[PAGE]);
	/* What was written privately has not become the file's. */
	lonely = mremap(lonely, 4 * PAGE, SIZE, MREMAP_MAYMOVE);
	CHECK(lonely != MAP_FAILED && all_zero(lonely + 4 * PAGE, 4 * PAGE));
	test_passed();
}

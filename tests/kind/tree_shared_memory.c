/*
 * Shows: memory that members share stays one: anonymous, a memfd that one has mapped and the
 * other open, and a deleted file, each also after the one who made it has unmapped it.
 */
#include <sys/mman.h>

#include "tree.h"

#define PAGE 4096
#define SHARE(fd)                                                  \
	mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,                \
	     MAP_SHARED | ((fd) < 0 ? MAP_ANONYMOUS : 0), fd, 0)

static void meet(volatile char *turn, int mine)
{
	while (*turn != mine)
		test_nap(1);
}

int main(void)
{
	int memfd = memfd_create("members", 0), file = open("gone", O_CREAT | O_RDWR, 0600);
	volatile char *both, *childs, *deleted;
	char byte = 0;
	pid_t child;

	tree_begin();
	CHECK(ftruncate(memfd, 3 * PAGE) == 0 && ftruncate(file, 3 * PAGE) == 0);
	both = SHARE(-1);
	childs = SHARE(-1);
	deleted = SHARE(file);
	CHECK(both != MAP_FAILED && childs != MAP_FAILED && deleted != MAP_FAILED);
	CHECK(unlink("gone") == 0 && close(file) == 0);
	both[PAGE] = 1;
	childs[PAGE] = 11;
	deleted[PAGE] = 21;
	child = fork();
	if (child == 0) {
		volatile char *mapped = SHARE(memfd);
		pid_t below;

		CHECK(mapped != MAP_FAILED && close(memfd) == 0);
		mapped[PAGE] = 31;
		below = fork();
		if (below == 0) {
			tree_set_up();
			meet(childs, 1);
			childs[PAGE]++;
			childs[0] = 2;
			_exit(0);
		}
		tree_set_up();
		CHECK_EQ(both[PAGE], 1);
		CHECK_EQ(deleted[PAGE], 21);
		both[PAGE] = 2;
		deleted[PAGE] = 22;
		CHECK_EQ(mapped[PAGE], 31);
		mapped[2 * PAGE] = 32;
		CHECK_EQ(childs[PAGE], 11);
		childs[0] = 1;
		meet(childs, 2);
		CHECK_EQ(childs[PAGE], 12);
		tree_collect(below);
		both[0] = 1;
		_exit(0);
	}
	CHECK(munmap((void *)childs, 3 * PAGE) == 0);
	tree_wait(2);

	test_ready();

	meet(both, 1);
	CHECK_EQ(both[PAGE], 2);
	CHECK_EQ(deleted[PAGE], 22);
	CHECK(pread(memfd, &byte, 1, PAGE) == 1 && byte == 31);
	CHECK(pread(memfd, &byte, 1, 2 * PAGE) == 1 && byte == 32);
	tree_collect(child);
	test_passed();
}

/*
 * Shows: a child that shares huge pages with its parent, not yet written by either, has them whole, with
 * every byte, whichever way they were made huge.
 */
#include "maps.h"
#include "tree.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2UL << 20)
#define SIZE (8UL << 20)

static void whole(const char *asked, const char *collapsed)
{
	CHECK(pattern_is(asked, SIZE, 1));
	CHECK(pattern_is(collapsed, SIZE, 2));
}

int main(void)
{
	char *asked = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *collapsed = map_alone(SIZE, PROT_READ | PROT_WRITE);
	pid_t child;

	if (madvise(asked, SIZE, MADV_HUGEPAGE) < 0)
		SKIP("this kernel has no transparent huge pages");
	pattern_fill(asked, SIZE, 1);
	pattern_fill(collapsed, SIZE, 2);
	madvise(collapsed, SIZE, MADV_COLLAPSE);
	if (!map_at(asked).anon_huge)
		SKIP("this machine gives no huge pages");
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		while (access("go", F_OK) < 0)
			test_nap(2);
		whole(asked, collapsed);
		_exit(7);
	}

	test_ready();

	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	whole(asked, collapsed);
	test_passed();
}

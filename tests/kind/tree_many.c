/* Shows: a wide and deep tree of 200 processes. */
#include "tree.h"

#define WIDE 100
#define DEEP 100

int main(void)
{
	pid_t children[WIDE], below = 0, top = getpid();

	tree_begin();
	for (int i = 0; i < WIDE; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (children[i])
			continue;
		/* The last one is the top of a chain. */
		for (int k = 1; i == WIDE - 1 && k < DEEP && (below = fork()) == 0; k++)
			;
		tree_set_up();
		if (below)
			tree_collect(below);
		_exit(0);
	}
	tree_wait(WIDE + DEEP - 1);

	test_ready();

	CHECK_EQ(getpid(), top);
	for (int i = 0; i < WIDE; i++)
		tree_collect(children[i]);
	test_passed();
}

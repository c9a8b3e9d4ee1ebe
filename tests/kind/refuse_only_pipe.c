/* CHECKPOINT: --only */
/* EXPECT-REFUSAL: pipe whose other end is held by process */
/* --only would cut a pipe to a child in two. */
#include "tree.h"

int main(void)
{
	pid_t child;

	tree_begin();
	child = fork();
	if (child == 0) {
		tree_set_up();
		_exit(0);
	}
	tree_wait(1);
	test_ready();
	tree_collect(child);
	test_passed();
}

/* CHECKPOINT: --only */
/* MODES: stay */
/* Shows: --only saves a process without its child, who goes on undisturbed. */
#include "tree.h"

int main(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		while (access("go", F_OK) < 0)
			test_nap(2);
		_exit(0);
	}
	test_ready();
	tree_collect(child);
	test_passed();
}

/* LEVELS: none cap */
/* EXPECT-REFUSAL: process [0-9]+ \(hidden\).* not dumpable|trace [0-9]+ */
/* A member that the kernel lets nobody look into is named, and all others go on. */
#include "tree.h"

int main(void)
{
	pid_t child, other;

	tree_begin();
	other = fork();
	if (other == 0) {
		tree_set_up();
		_exit(0);
	}
	child = fork();
	if (child == 0) {
		CHECK(prctl(PR_SET_NAME, "hidden") == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
		tree_set_up();
		_exit(0);
	}
	tree_wait(2);
	test_ready();
	tree_collect(child);
	tree_collect(other);
	test_passed();
}

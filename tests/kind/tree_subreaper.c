/* Shows: an orphan within the tree is the child of the subreaper that has taken it on. */
#include "tree.h"

int main(void)
{
	pid_t root = getpid(), middle, orphan;
	int ends[2];

	tree_begin();
	CHECK(pipe(ends) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	middle = fork();
	if (middle == 0) {
		orphan = fork();
		if (orphan == 0) {
			while (getppid() != root)
				test_nap(1);
			tree_set_up();
			CHECK_EQ(getppid(), root);
			_exit(0);
		}
		CHECK(write(ends[1], &orphan, sizeof orphan) == sizeof orphan);
		_exit(0);
	}
	CHECK(read(ends[0], &orphan, sizeof orphan) == sizeof orphan);
	tree_collect(middle);
	tree_wait(1);

	test_ready();

	tree_collect(orphan);
	CHECK(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
	test_passed();
}

/* Shows: each member is in the session and the group that it was in. */
#include "tree.h"

static void check_place(pid_t sid, pid_t pgid)
{
	CHECK_EQ(getsid(0), sid);
	CHECK_EQ(getpgrp(), pgid);
}

int main(void)
{
	pid_t leader, member, alone, below;

	tree_begin();
	/* A session of its own, with a child in it that leads a second group, and one in that group. */
	leader = fork();
	if (leader == 0) {
		CHECK(setsid() > 0);
		below = fork();
		if (below == 0) {
			CHECK(setpgid(0, 0) == 0);
			tree_set_up();
			check_place(getppid(), getpid());
			_exit(0);
		}
		member = fork();
		if (member == 0) {
			while (setpgid(0, below) < 0)
				test_nap(1);
			tree_set_up();
			check_place(getppid(), below);
			_exit(0);
		}
		tree_set_up();
		check_place(getpid(), getpid());
		tree_collect(member);
		tree_collect(below);
		_exit(0);
	}
	/* A group of its own in the first session. */
	alone = fork();
	if (alone == 0) {
		CHECK(setpgid(0, 0) == 0);
		tree_set_up();
		check_place(getsid(getppid()), getpid());
		_exit(0);
	}
	tree_wait(4);

	test_ready();

	tree_collect(leader);
	tree_collect(alone);
	test_passed();
}

/*
 * Shows: a session whose terminal is held by a process that comes later: the leader is a child, and the
 * master is its younger sibling's; the leader has no descriptor of the terminal any more.
 */
#include "pty.h"
#include "tree.h"

int main(void)
{
	struct pty p = pty_new(0);
	pid_t leader, holder;

	tree_begin();
	leader = fork();
	if (leader == 0) {
		int tty;

		CHECK(setsid() > 0);
		CHECK(ioctl(p.slave, TIOCSCTTY, 0) == 0);
		CHECK(close(p.slave) == 0 && close(p.master) == 0);
		tree_set_up();
		tty = open("/dev/tty", O_RDWR);
		CHECK(tty >= 0);
		CHECK_EQ(tcgetsid(tty), getpid());
		CHECK_EQ(tcgetpgrp(tty), getpgrp());
		CHECK_EQ(write(tty, "hello", 5), 5);
		_exit(0);
	}
	tree_wait(1);
	holder = fork();
	if (holder == 0) {
		char text[8];
		ssize_t n;

		CHECK(close(p.slave) == 0);
		tree_set_up();
		/* Until somebody opens the slave again: EIO. */
		while ((n = read(p.master, text, sizeof text)) < 0 && errno == EIO)
			test_nap(2);
		CHECK_EQ(n, 5);
		/* Our end hangs up, and would end the leader before it ends itself: that comes first. */
		while (read(p.master, text, sizeof text) >= 0 || errno != EIO)
			test_nap(2);
		_exit(0);
	}
	CHECK(close(p.slave) == 0 && close(p.master) == 0);
	tree_wait(1);

	test_ready();

	tree_collect(holder);
	tree_collect(leader);
	test_passed();
}

/*
 * Shows: a terminal of the program that a process outside has open as well is refused, by its name.
 */
/* EXPECT-REFUSAL: is the master of /dev/pts/\d+, which process \d+ \(kind-refuse_pty\S*\) has open as well */
#include "pty.h"

#include <sys/wait.h>

/* A child of a child that has ended belongs to nobody here. */
static void start_outsider(const struct pty *p)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		if (fork() == 0) {
			char byte;

			close(p->master);
			(void)!read(p->slave, &byte, 1);
		}
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

int main(void)
{
	struct pty p = pty_new(0);

	start_outsider(&p);
	CHECK(close(p.slave) == 0);

	test_ready();

	CHECK_EQ(write(p.master, "end\n", 4), 4);
	test_passed();
}

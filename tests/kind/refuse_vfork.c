/* EXPECT-REFUSAL: does not stop: it waits in vfork\(2\) for its child, process [0-9]+ */
/*
 * Shows: a parent that waits in vfork(2) for a child that takes its time cannot be stopped; that
 * is said, and nothing hangs.
 */
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	int status;
	pid_t child = vfork();

	if (child == 0) {
		int fd = open("ready", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		close(fd);
		while (access("go", F_OK) < 0)
			test_nap(2);
		_exit(3);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 3);
	test_passed();
}

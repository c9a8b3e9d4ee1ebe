/* Shows: a child that waits is still there and still waits. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}

	test_ready();

	CHECK(kill(child, SIGKILL) == 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	test_passed();
}

/* EXPECT-REFUSAL: child */
/* A child that has ended, and whose exit status nobody has asked for yet, would be lost. */
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	siginfo_t info;
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0)
		_exit(42);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);

	test_ready();

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	test_passed();
}

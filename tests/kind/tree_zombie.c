/* Shows: how children ended is still told to who waits for them: by exit, by signal. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

static pid_t ended(int signal)
{
	siginfo_t info;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0 && signal)
		raise(signal);
	if (child == 0)
		_exit(42);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	return child;
}

int main(void)
{
	pid_t exited = ended(0), killed = ended(SIGKILL);
	siginfo_t info = {0};
	int status;

	test_ready();

	CHECK(waitid(P_PID, (id_t)exited, &info, WEXITED | WNOWAIT) == 0);
	CHECK(info.si_code == CLD_EXITED && info.si_status == 42 && info.si_pid == exited);
	CHECK_EQ(waitpid(exited, &status, 0), exited);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK_EQ(waitpid(killed, &status, 0), killed);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(waitpid(-1, &status, 0) < 0 && errno == ECHILD);
	test_passed();
}

/*
 * Traces a process for a moment, as a debugger would that somebody starts just then:
 *
 *	tracer PID MILLISECONDS
 *
 * Returns at once, with 1 where it may not; the process goes on when the time is over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int ends[2], status;
	long pid = argc > 2 ? atol(argv[1]) : 0, time = argc > 2 ? atol(argv[2]) : 0;
	struct timespec ts = {time / 1000, time % 1000 * 1000000};
	char done;

	if (pid <= 0 || pipe(ends) < 0)
		return 2;
	if (fork() != 0) {
		close(ends[1]);
		return read(ends[0], &done, 1) == 1 && done == 'y' ? 0 : 1;
	}
	if (ptrace(PTRACE_SEIZE, (pid_t)pid, 0, 0) < 0)
		return write(ends[1], "n", 1) != 1;
	ptrace(PTRACE_INTERRUPT, (pid_t)pid, 0, 0);
	waitpid((pid_t)pid, &status, __WALL);
	if (write(ends[1], "y", 1) != 1)
		return 1;
	close(ends[1]);
	nanosleep(&ts, NULL);
	ptrace(PTRACE_DETACH, (pid_t)pid, 0, 0);
	return 0;
}

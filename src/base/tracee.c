#include "base/tracee.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

long tracee_ask(long request, pid_t tid, void *address, void *data)
{
	long r = ptrace((enum __ptrace_request)request, tid, address, data);

	return r < 0 && errno != ESRCH ? ptrace((enum __ptrace_request)request, tid, address, data) : r;
}

pid_t tracee_wait(pid_t tid, int *ret_status, int options)
{
	pid_t pid = waitpid(tid, ret_status, options);

	return pid < 0 && errno != ECHILD && errno != EINTR ? waitpid(tid, ret_status, options) : pid;
}

int tracee_wait_end(pid_t tid, int options)
{
	siginfo_t info;
	int failed = 0;

	while (waitid(P_PID, (id_t)tid, &info, WEXITED | options) < 0) {
		if (errno == ECHILD)
			return 0;
		if (errno != EINTR && failed++)
			return -errno;
	}
	return 0;
}

#include "priv/seccomp.h"

#include <errno.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The system call itself: sys/ptrace.h and linux/ptrace.h do not go together. */
static long seccomp_ptrace(long request, pid_t tid, uintptr_t addr, void *data)
{
	long r = syscall(SYS_ptrace, request, tid, addr, data);

	return r < 0 ? -errno : r;
}

int priv_filter_suspend(pid_t tid, unsigned long options)
{
	return (int)seccomp_ptrace(PTRACE_SETOPTIONS, tid, 0,
				   (void *)(options | PTRACE_O_SUSPEND_SECCOMP));
}

int priv_filter_length(pid_t tid, unsigned int index)
{
	return (int)seccomp_ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, NULL);
}

int priv_filter_read(pid_t tid, unsigned int index, struct sock_filter *buf)
{
	return (int)seccomp_ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, buf);
}

int priv_filter_flags(pid_t tid, unsigned int index, uint64_t *ret)
{
	struct seccomp_metadata m = {.filter_off = index};
	long r = seccomp_ptrace(PTRACE_SECCOMP_GET_METADATA, tid, sizeof m, &m);

	if (r >= 0)
		*ret = m.flags;
	return r < 0 ? (int)r : 0;
}

int priv_filter_nothing(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}

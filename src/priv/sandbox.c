#include "priv/sandbox.h"

#include <errno.h>

#ifdef HAVE_SECCOMP

#include <asm/termbits.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "priv/caps.h"

#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE)
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* Whatever their arguments. */
static const int harmless[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(lseek), SCMP_SYS(close),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(fadvise64), SCMP_SYS(munmap),
	SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime), SCMP_SYS(sysinfo), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int allow_harmless(scmp_filter_ctx f)
{
	int r = 0;

	for (size_t i = 0; i < sizeof harmless / sizeof *harmless && r == 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, harmless[i], 0);
	return r;
}

static int allow_some(scmp_filter_ctx f, int out)
{
	const struct scmp_arg_cmp to_out = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)out);
	const struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp duplicate = SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC);
	int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, to_out);

	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_exec);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_exec);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, duplicate);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, WRITING, O_RDONLY));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, TCGETS));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD, THREAD));
	/* Its flags cannot be looked at; the C library then takes clone(2). */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

bool priv_sandbox_built(void)
{
	return true;
}

int priv_sandbox_enter(int out)
{
	scmp_filter_ctx f;
	/* Root opens what root may open. */
	int r = geteuid() == 0 ? 0 : priv_drop_all(NULL);

	if (r < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return r < 0 ? r : -errno;
	f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!f)
		return -ENOMEM;
	r = allow_harmless(f);
	if (r == 0)
		r = allow_some(f, out);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

#else

bool priv_sandbox_built(void)
{
	return false;
}

int priv_sandbox_enter(int out)
{
	(void)out;
	return -EOPNOTSUPP;
}

#endif

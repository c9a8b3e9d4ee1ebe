/* EXPECT-REFUSAL(none cap): seccomp */
/*
 * Seccomp filters: read and suspended by root only.  They come back in their order, with what
 * they forbid, among it calls that the restore itself needs.
 */
#include "procfs.h"
#include "seccomp.h"

int main(void)
{
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | EDOM, 0) == 0);
	/* The later one is asked as well: the stricter answer counts, and of two errors the later. */
	CHECK(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | ENOTTY, SECCOMP_FILTER_FLAG_LOG) == 0);
	/* Whatever asks, restores and cures. */
	CHECK(forbid(SYS_prctl, SECCOMP_RET_ERRNO | EXFULL, 0) == 0);
	CHECK(forbid(SYS_prlimit64, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	CHECK(forbid(SYS_munmap, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	CHECK(forbid(SYS_tgkill, SECCOMP_RET_KILL_PROCESS, 0) == 0);
	CHECK(forbid(SYS_rt_sigprocmask, SECCOMP_RET_KILL_PROCESS, 0) == 0);

	test_ready();

	CHECK_EQ(answer_of(SYS_sysinfo), ENOTTY);
	CHECK_EQ(answer_of(SYS_prctl), EXFULL);
	CHECK(strtol(strstr(procfs_read("/proc/self/status", NULL), "Seccomp_filters:") + 16, NULL,
		     10) == 7);
	CHECK(strstr(procfs_read("/proc/self/status", NULL), "NoNewPrivs:\t1"));
	test_passed();
}

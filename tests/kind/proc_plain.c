/* A program that never asked for anything special has nothing special afterwards. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "procfs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int gets[] = {
	PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_TIMERSLACK, PR_GET_SECCOMP, PR_GET_TIMING,
	PR_GET_SECUREBITS, PR_GET_NO_NEW_PRIVS, PR_GET_THP_DISABLE, PR_MCE_KILL_GET,
	65 + 1 /* PR_GET_MDWE */, 67 + 1 /* PR_GET_MEMORY_MERGE */,
};

static const char *const status[] = {
	"Name", "Umask", "Uid", "Gid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn",
	"SigCgt", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Cpus_allowed", "CoreDumping",
	"THP_enabled", "untag_mask", "Speculation_Store_Bypass", "SpeculationIndirectBranch",
};

static const char *const files[] = {
	"/proc/self/oom_score_adj", "/proc/self/personality", "/proc/self/coredump_filter",
	"/proc/self/cmdline", "/proc/self/comm", "/proc/self/environ", "/proc/self/limits",
	"/proc/self/timers", "/proc/self/auxv",
};

struct state {
	int gets[COUNT(gets)], subreaper, pdeath, tsc, nice, policy, ioprio;
	char *status[COUNT(status)], *files[COUNT(files)];
	size_t lens[COUNT(files)];
};

static struct state look(void)
{
	struct state s;

	for (size_t i = 0; i < COUNT(gets); i++)
		s.gets[i] = prctl(gets[i], 0, 0, 0, 0);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &s.subreaper) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &s.pdeath) == 0);
	CHECK(prctl(PR_GET_TSC, &s.tsc) == 0);
	s.nice = getpriority(PRIO_PROCESS, 0);
	s.policy = (int)syscall(SYS_sched_getscheduler, 0);
	s.ioprio = (int)syscall(SYS_ioprio_get, 1, 0);
	for (size_t i = 0; i < COUNT(status); i++)
		s.status[i] = procfs_value("/proc/self/status", status[i]);
	for (size_t i = 0; i < COUNT(files); i++)
		s.files[i] = procfs_read(files[i], &s.lens[i]);
	return s;
}

int main(void)
{
	struct state before = look(), after;

	test_ready();

	after = look();
	for (size_t i = 0; i < COUNT(gets); i++)
		CHECK_EQ(after.gets[i], before.gets[i]);
	CHECK_EQ(after.subreaper, before.subreaper);
	CHECK_EQ(after.pdeath, before.pdeath);
	CHECK_EQ(after.tsc, before.tsc);
	CHECK_EQ(after.nice, before.nice);
	CHECK_EQ(after.policy, before.policy);
	CHECK_EQ(after.ioprio, before.ioprio);
	for (size_t i = 0; i < COUNT(status); i++) {
		if (strcmp(after.status[i], before.status[i]) != 0)
			fprintf(stderr, "%s was %s, is %s\n", status[i], before.status[i],
				after.status[i]);
		CHECK(strcmp(after.status[i], before.status[i]) == 0);
	}
	for (size_t i = 0; i < COUNT(files); i++) {
		if (after.lens[i] != before.lens[i])
			fprintf(stderr, "%s\n", files[i]);
		CHECK_EQ(after.lens[i], before.lens[i]);
		CHECK(memcmp(after.files[i], before.files[i], after.lens[i]) == 0);
	}
	test_passed();
}

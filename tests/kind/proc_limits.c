/* All sixteen resource limits, soft and hard: those that were lowered, and the others. */
#include <sys/resource.h>

#include "check.h"

static void lower(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit now;

	CHECK(getrlimit(resource, &now) == 0);
	if (now.rlim_max < hard)
		hard = now.rlim_max;
	if (soft > hard)
		soft = hard;
	now = (struct rlimit){soft, hard};
	CHECK(setrlimit(resource, &now) == 0);
}

int main(void)
{
	struct rlimit before[RLIM_NLIMITS], after;

	lower(RLIMIT_CPU, 3600, 7200);
	lower(RLIMIT_FSIZE, 1 << 20, 2 << 20);
	lower(RLIMIT_DATA, 64 << 20, 128 << 20);
	lower(RLIMIT_STACK, 1 << 20, 3 << 20);
	lower(RLIMIT_CORE, 0, 4096);
	lower(RLIMIT_RSS, 1 << 30, RLIM_INFINITY);
	lower(RLIMIT_NOFILE, 16, 32);
	lower(RLIMIT_MEMLOCK, 4096, 8192);
	lower(RLIMIT_AS, 256 << 20, 512 << 20);
	lower(RLIMIT_LOCKS, 10, 20);
	lower(RLIMIT_SIGPENDING, 11, 22);
	lower(RLIMIT_MSGQUEUE, 0, 4096);
	lower(RLIMIT_NICE, 0, 0);
	lower(RLIMIT_RTPRIO, 0, 0);
	lower(RLIMIT_RTTIME, 1000000, 2000000);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		CHECK(getrlimit(i, &before[i]) == 0);

	test_ready();

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		CHECK(getrlimit(i, &after) == 0);
		CHECK_EQ(after.rlim_cur, before[i].rlim_cur);
		CHECK_EQ(after.rlim_max, before[i].rlim_max);
	}
	test_passed();
}

/* LEVELS: root */
/* A program of root's that gave most capabilities away: its five sets are as it left them. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "procfs.h"

#define SETS 5

/* The C library has them, and no header of its own for them. */
int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);

int main(void)
{
	static const char *const names[SETS] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	const __u32 kept = 1u << CAP_KILL | 1u << CAP_CHOWN | 1u << CAP_SETUID;
	char *before[SETS];

	CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0) == 0);
	CHECK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0) == 0);
	CHECK(capget(&header, data) == 0);
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted & ~(1u << CAP_SETUID);
	data[0].inheritable = 1u << CAP_KILL;
	data[1] = (struct __user_cap_data_struct){0, 0, 0};
	CHECK(capset(&header, data) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
	for (int i = 0; i < SETS; i++)
		before[i] = procfs_value("/proc/self/status", names[i]);

	test_ready();

	for (int i = 0; i < SETS; i++)
		CHECK(strcmp(procfs_value("/proc/self/status", names[i]), before[i]) == 0);
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT), 0);
	test_passed();
}

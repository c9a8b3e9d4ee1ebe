/* User, group and supplementary groups: as far as the kernel and /proc tell, all as before. */
#include "procfs.h"

int main(void)
{
	static const char *const keys[] = {"Uid", "Gid"};
	uid_t uids[2][3];
	gid_t gids[2][3], groups[2][256];
	char *lines[2][2];
	int count[2];

	for (int i = 0; i < 2; i++) {
		CHECK(getresuid(&uids[i][0], &uids[i][1], &uids[i][2]) == 0);
		CHECK(getresgid(&gids[i][0], &gids[i][1], &gids[i][2]) == 0);
		count[i] = getgroups(256, groups[i]);
		CHECK(count[i] >= 0);
		for (int k = 0; k < 2; k++)
			lines[i][k] = procfs_value("/proc/self/status", keys[k]);
		if (i == 0)
			test_ready();
	}
	CHECK(memcmp(uids[0], uids[1], sizeof(uids[0])) == 0);
	CHECK(memcmp(gids[0], gids[1], sizeof(gids[0])) == 0);
	CHECK_EQ(count[1], count[0]);
	CHECK(memcmp(groups[0], groups[1], (size_t)count[0] * sizeof(gid_t)) == 0);
	for (int k = 0; k < 2; k++)
		CHECK(strcmp(lines[0][k], lines[1][k]) == 0);
	test_passed();
}

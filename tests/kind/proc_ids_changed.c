/* LEVELS: root */
/* A daemon that took on other ids: real, effective, saved and file system ones, and its groups. */
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	static const gid_t set[] = {31, 32, 65533};
	uid_t uid[3];
	gid_t gid[3], groups[8];

	CHECK(chmod(".", 0777) == 0); /* the file "ready" is made with the other ids */
	CHECK(setgroups(3, set) == 0);
	CHECK(setresgid(2001, 2002, 2003) == 0);
	setfsgid(2001);
	CHECK(setresuid(1001, 1002, 1003) == 0);
	setfsuid(1001);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* which the change of ids had cleared */

	test_ready();

	CHECK(getresuid(&uid[0], &uid[1], &uid[2]) == 0);
	CHECK(uid[0] == 1001 && uid[1] == 1002 && uid[2] == 1003);
	CHECK(getresgid(&gid[0], &gid[1], &gid[2]) == 0);
	CHECK(gid[0] == 2001 && gid[1] == 2002 && gid[2] == 2003);
	CHECK_EQ(setfsuid((uid_t)-1), 1001);
	CHECK_EQ(setfsgid((gid_t)-1), 2001);
	CHECK_EQ(getgroups(8, groups), 3);
	CHECK(memcmp(groups, set, sizeof(set)) == 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK(setresuid(0, 0, 0) == -1 && errno == EPERM);
	test_passed();
}

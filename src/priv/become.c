#include "priv/become.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/caps.h"

uint64_t priv_permitted(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3] = {0};

	syscall(SYS_capget, &header, half);
	return half[0].permitted | (uint64_t)half[1].permitted << 32;
}

static int set_exactly(uint64_t caps)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3] = {0};

	/* What is inheritable or ambient would come back in a program that is executed. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		half[i].effective = half[i].permitted = (uint32_t)(caps >> 32 * i);
	return syscall(SYS_capset, &header, half) < 0 ? -errno : 0;
}

/* The system calls themselves: the C library's would ask all threads, of which a child has one. */
static int set_ids(uid_t uid, gid_t gid)
{
	cleanup_lower struct raised for_gid = priv_raise(CAP_SETGID);
	cleanup_lower struct raised for_uid = priv_raise(CAP_SETUID);

	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0)
		return -errno;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	return prctl(PR_SET_KEEPCAPS, 0) < 0 ? -errno : 0;
}

int priv_become(uid_t uid, gid_t gid, uint64_t caps)
{
	int r = 0;

	if (uid != geteuid() || uid != getuid() || gid != getegid() || gid != getgid())
		r = set_ids(uid, gid);
	if (r == 0)
		r = set_exactly(caps);
	if (r < 0)
		return r;
	return prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0;
}

static int write_own(const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int priv_become_own_root(void)
{
	char map[32];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	/* Who is not dumpable does not own the files in which the namespace is described. */
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0)
		return -errno;
	r = write_own("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", uid);
	if (r == 0)
		r = write_own("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid);
	if (r == 0)
		r = write_own("/proc/self/gid_map", map);
	return r;
}

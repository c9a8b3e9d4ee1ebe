#include "priv/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/fd.h"

/* Writes what must be written by one write(2), and does not allocate: see probe.c. */
static int write_file(pid_t pid, const char *name, const char *content)
{
	char path[64];
	cleanup_close int fd = -1;

	if (pid)
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	else
		snprintf(path, sizeof path, "/proc/self/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, content, strlen(content)) < 0 ? -errno : 0;
}

int priv_enter_userns_maps(pid_t child, uid_t uid, gid_t gid, struct error **err)
{
	char map[64];
	int r;

	/*
	 * Without "deny" an ordinary user may not write gid_map: a member of a
	 * group could leave it, and so pass a "everybody but this group" mode.
	 */
	r = write_file(child, "setgroups", "deny");
	if (r < 0)
		return fail_errno(err, -r, "cannot deny setgroups in a user namespace");
	snprintf(map, sizeof map, "%u %u 1", uid, uid);
	r = write_file(child, "uid_map", map);
	if (r < 0)
		return fail_errno(err, -r, "cannot map uid %u into a user namespace", uid);
	snprintf(map, sizeof map, "%u %u 1", gid, gid);
	r = write_file(child, "gid_map", map);
	if (r < 0)
		return fail_errno(err, -r, "cannot map gid %u into a user namespace", gid);
	return 0;
}

int priv_mount_private_proc(struct error **err)
{
	/* Nothing of this may show on the host; what the host unmounts goes away here too. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fail_errno(err, errno, "cannot make mounts private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return fail_errno(err, errno, "cannot mount a private /proc");
	return 0;
}

#include "task/namespaces.h"

#include <stdio.h>
#include <sys/stat.h>

static const char *const names[NAMESPACES] = {
	[NAMESPACE_UTS] = "uts",   [NAMESPACE_NET] = "net", [NAMESPACE_CGROUP] = "cgroup",
	[NAMESPACE_TIME] = "time", [NAMESPACE_IPC] = "ipc", [NAMESPACE_MNT] = "mnt",
	[NAMESPACE_USER] = "user", [NAMESPACE_PID] = "pid",
};

const char *namespace_name(enum namespace n)
{
	return names[n];
}

void namespaces_read(int proc, struct namespaces *ret)
{
	for (enum namespace n = 0; n < NAMESPACES; n++) {
		char path[32];
		struct stat st;

		snprintf(path, sizeof path, "ns/%s", names[n]);
		ret->number[n] = fstatat(proc, path, &st, 0) == 0 ? st.st_ino : 0;
	}
}

bool namespace_is_same(const struct namespaces *a, const struct namespaces *b, enum namespace n)
{
	return !a->number[n] || !b->number[n] || a->number[n] == b->number[n];
}

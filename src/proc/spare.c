#include "proc/spare.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc/mountinfo.h"

/* The files of a group, by the version of control groups. */
struct names {
	const char *type, *limit, *usage, *cache;
};

static const struct names versions[] = {
	{"cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
	{"cgroup2", "memory.max", "memory.current", "inactive_file"},
};

int64_t proc_number_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, name, len) == 0 && (at[len] == ' ' || at[len] == ':'))
			return strtoll(at + len + 1, NULL, 10);
	return -1;
}

char *cgroup_memory_path(const char *text, int *ret_version)
{
	const char *found = NULL;

	/* "4:memory:/path" or "3:cpu,memory:/path"; "0::/path" is of version 2. */
	for (const char *at = text; at && *at;) {
		const char *end = strchrnul(at, '\n'), *names = strchr(at, ':');
		const char *path = names ? strchr(names + 1, ':') : NULL;
		bool unified = path == names + 1, has = false;

		if (!path || path > end)
			return NULL;
		for (const char *n = names + 1; n < path && !has; n = strpbrk(n, ",:") + 1)
			has = strncmp(n, "memory", 6) == 0 && (n[6] == ',' || n[6] == ':');
		if (has || (unified && !found)) {
			found = path + 1;
			*ret_version = has ? 1 : 2;
		}
		if (has)
			break;
		at = *end ? end + 1 : end;
	}
	return found ? strndup(found, (size_t)(strchrnul(found, '\n') - found)) : NULL;
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = options; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* Where the group stands here; *ret_top: how much of that is the mount point.  NULL: nowhere. */
static char *find_folder(const char *path, int version, size_t *ret_top)
{
	struct mount_table mounts cleanup_mountinfo = {0};
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (n < 0 || mountinfo_parse(text, (size_t)n, &mounts) < 0)
		return NULL;
	vec_each(m, &mounts.list) {
		size_t root = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);

		if (strcmp(m->fs_type, versions[version - 1].type) != 0 ||
		    (version == 1 && !has_option(m->super_options, "memory")))
			continue;
		*ret_top = strlen(m->point);
		/* A container may see a part of the groups as if it were all. */
		if (root && strncmp(path, m->root, root) == 0)
			return str_format("%s%s", m->point, path + root);
		return str_format("%s%s", m->point, root ? "" : path);
	}
	return NULL;
}

static char *slurp_in(const char *folder, const char *name)
{
	cleanup_free char *path = str_format("%s/%s", folder, name);
	char *text = NULL;

	return path && fd_slurp(AT_FDCWD, path, &text) >= 0 ? text : NULL;
}

static uint64_t spare_of_group(const char *folder, const struct names *names)
{
	cleanup_free char *limit = slurp_in(folder, names->limit);
	cleanup_free char *usage = slurp_in(folder, names->usage);
	cleanup_free char *stat = slurp_in(folder, "memory.stat");
	int64_t cache = stat ? proc_number_of(stat, names->cache) : -1;
	uint64_t may, has;

	/* "max": none.  The group at the top has no such files. */
	if (!limit || !usage || *limit == 'm')
		return UINT64_MAX;
	may = strtoull(limit, NULL, 10);
	has = strtoull(usage, NULL, 10);
	if (cache > 0)
		has -= (uint64_t)cache < has ? (uint64_t)cache : has;
	return may > has ? may - has : 0;
}

/* Each group is bound by those that it is in. */
static uint64_t spare_of_groups(int proc)
{
	cleanup_free char *text = NULL, *path = NULL, *folder = NULL;
	uint64_t spare = UINT64_MAX;
	int version = 0;
	size_t top = 0;

	if (fd_slurp(proc, "cgroup", &text) < 0)
		return spare;
	path = cgroup_memory_path(text, &version);
	folder = path ? find_folder(path, version, &top) : NULL;
	while (folder) {
		uint64_t one = spare_of_group(folder, &versions[version - 1]);

		spare = one < spare ? one : spare;
		if (strlen(folder) <= top)
			break;
		*strrchr(folder, '/') = '\0';
	}
	return spare;
}

uint64_t proc_spare_memory(int proc)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/meminfo", &text);
	int64_t available = n < 0 ? -1 : proc_number_of(text, "MemAvailable");
	uint64_t groups = spare_of_groups(proc);
	uint64_t machine = available < 0 ? UINT64_MAX : (uint64_t)available * 1024;

	return machine < groups ? machine : groups;
}

#include "engine/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc/mountinfo.h"

static bool is_ours(const struct task *task, const char *namespace)
{
	cleanup_free char *name = str_format("ns/%s", namespace);
	cleanup_free char *own = str_format("/proc/self/ns/%s", namespace);
	struct stat theirs, ours;

	/* A kernel without this sort of namespace has but one. */
	if (!name || !own || fstatat(task->proc, name, &theirs, 0) < 0 || stat(own, &ours) < 0)
		return true;
	return theirs.st_ino == ours.st_ino;
}

/* By place first, then by what is there: the order of the list says nothing. */
static int compare_mounts(const void *x, const void *y)
{
	const struct mount_entry *a = x, *b = y;
	int order = strcmp(a->point, b->point);

	if (order == 0)
		order = strcmp(a->root, b->root);
	if (order == 0 && a->dev_major != b->dev_major)
		order = a->dev_major < b->dev_major ? -1 : 1;
	if (order == 0 && a->dev_minor != b->dev_minor)
		order = a->dev_minor < b->dev_minor ? -1 : 1;
	return order;
}

/* The next mount that is no /proc: a private namespace has one of its own over ours. */
static const struct mount_entry *next_mount(const struct mount_table *m, size_t *at)
{
	while (*at < m->list.count) {
		const struct mount_entry *it = &m->list.items[(*at)++];

		if (strcmp(it->fs_type, "proc") != 0)
			return it;
	}
	return NULL;
}

static int read_mounts(int dirfd, const char *path, struct mount_table *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(dirfd, path, &text);

	int r = n < 0 ? (int)n : mountinfo_parse(text, (size_t)n, ret);

	if (r == 0 && ret->list.count)
		qsort(ret->list.items, ret->list.count, sizeof *ret->list.items, compare_mounts);
	return r;
}

/*
 * A mount namespace that shows what ours shows is a copy of it, as our own private
 * restores have: paths mean the same in both.
 */
static bool same_mounts(const struct task *task)
{
	struct mount_table theirs = {0}, ours = {0};
	const struct mount_entry *a, *b;
	size_t i = 0, k = 0;
	bool same = false;

	if (read_mounts(task->proc, "mountinfo", &theirs) == 0 &&
	    read_mounts(AT_FDCWD, "/proc/self/mountinfo", &ours) == 0)
		do {
			a = next_mount(&theirs, &i);
			b = next_mount(&ours, &k);
			same = a && b ? compare_mounts(a, b) == 0 : a == b;
		} while (same && a);
	mountinfo_free(&theirs);
	mountinfo_free(&ours);
	return same;
}

/* user_namespaces(7): the map, as we see it, takes each of our ids to itself. */
static bool same_ids(const struct task *task, const char *map)
{
	cleanup_free char *text = NULL;
	unsigned int inside, outside;

	return task_slurp(task, map, &text) > 0 &&
	       sscanf(text, "%u %u", &inside, &outside) == 2 && inside == outside;
}

void refuse_namespaces(const struct task *task, struct error **err)
{
	static const char *const all[] = {"uts", "net", "cgroup", "time"};
	static const char mend[] = "run the tool in that namespace";

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!is_ours(task, all[i]))
			refuse(err, ENOTSUP, mend,
			       "it lives in another %s namespace, which is not supported yet", all[i]);
	/* With a user namespace of its own, the kinds look into it. */
	if (!is_ours(task, "ipc") && is_ours(task, "user"))
		refuse(err, ENOTSUP, mend,
		       "it lives in another ipc namespace, which is not supported yet");
	if (!is_ours(task, "mnt") && !same_mounts(task))
		refuse(err, ENOTSUP, mend,
		       "it lives in another mount namespace, where paths mean other files");
	if (!is_ours(task, "user") && !(same_ids(task, "uid_map") && same_ids(task, "gid_map")))
		refuse(err, ENOTSUP, mend,
		       "it lives in another user namespace, where it is another user");
}

static bool same_namespace(const struct task *a, const char *namespace, const struct task *b)
{
	cleanup_free char *name = str_format("ns/%s", namespace);
	struct stat x, y;

	return !name || fstatat(a->proc, name, &x, 0) < 0 || fstatat(b->proc, name, &y, 0) < 0 ||
	       x.st_ino == y.st_ino;
}

void refuse_apart(const struct task *task, const struct task *root, struct error **err)
{
	static const char *const all[] = {"pid", "user", "cgroup"};
	cleanup_free char *own = task_readlink(task, "ns/pid");
	cleanup_free char *childrens = task_readlink(task, "ns/pid_for_children");

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!same_namespace(task, all[i], root))
			refuse(err, ENOTSUP, NULL,
			       "it lives in another %s namespace than process %d, which is not "
			       "supported yet",
			       all[i], root->pid);
	/* Without a first process this link leads nowhere, and no pid can be had there. */
	if (own && (!childrens || strcmp(own, childrens) != 0))
		refuse(err, ENOTSUP, NULL,
		       "its children would live in another pid namespace (unshare(2)), which is not "
		       "supported yet");
}

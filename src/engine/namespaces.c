#include "engine/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc/mountinfo.h"

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

void refuse_namespaces(const struct task *task, const struct namespaces *ours,
		       struct error **err)
{
	static const enum namespace all[] = {NAMESPACE_UTS, NAMESPACE_NET, NAMESPACE_CGROUP,
					     NAMESPACE_TIME};
	static const char mend[] = "run the tool in that namespace";
	const struct namespaces *its = &task->namespaces;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!namespace_is_same(its, ours, all[i]))
			refuse(err, ENOTSUP, mend,
			       "it lives in another %s namespace, which is not supported yet",
			       namespace_name(all[i]));
	/* With a user namespace of its own, the kinds look into it. */
	if (!namespace_is_same(its, ours, NAMESPACE_IPC) &&
	    namespace_is_same(its, ours, NAMESPACE_USER))
		refuse(err, ENOTSUP, mend,
		       "it lives in another ipc namespace, which is not supported yet");
	if (!namespace_is_same(its, ours, NAMESPACE_MNT) && !same_mounts(task))
		refuse(err, ENOTSUP, mend,
		       "it lives in another mount namespace, where paths mean other files");
	if (!namespace_is_same(its, ours, NAMESPACE_USER) &&
	    !(same_ids(task, "uid_map") && same_ids(task, "gid_map")))
		refuse(err, ENOTSUP, mend,
		       "it lives in another user namespace, where it is another user");
}

void refuse_apart(const struct task *task, const struct task *root, struct error **err)
{
	static const enum namespace all[] = {NAMESPACE_PID, NAMESPACE_USER, NAMESPACE_CGROUP};
	cleanup_free char *own = str_format("pid:[%" PRIu64 "]", task->namespaces.number[NAMESPACE_PID]);
	cleanup_free char *childrens = task_readlink(task, "ns/pid_for_children");

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!namespace_is_same(&task->namespaces, &root->namespaces, all[i]))
			refuse(err, ENOTSUP, NULL,
			       "it lives in another %s namespace than process %d, which is not "
			       "supported yet",
			       namespace_name(all[i]), root->pid);
	/* Without a first process this link leads nowhere, and no pid can be had there. */
	if (own && task->namespaces.number[NAMESPACE_PID] &&
	    (!childrens || strcmp(own, childrens) != 0))
		refuse(err, ENOTSUP, NULL,
		       "its children would live in another pid namespace (unshare(2)), which is not "
		       "supported yet");
}

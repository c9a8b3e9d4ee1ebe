#include "engine/outside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/areas.h"
#include "task/description.h"

static const char mend[] = "checkpoint both together: by a process that both descend from";

/* A memory object that a member has mapped shared. */
struct object {
	const struct task *task;
	const struct vm_area *area;
};

struct objects {
	VEC(struct object) list; /* sorted by inode */
};

static int compare_objects(const void *x, const void *y)
{
	const struct vm_area *a = ((const struct object *)x)->area;
	const struct vm_area *b = ((const struct object *)y)->area;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* Files of the kernel's own tmpfs: nobody finds them by a name. */
static bool is_nameless(const struct vm_area *a)
{
	return a->shared && !a->gate && a->dev_major == 0 && a->deleted && a->path &&
	       (a->flags & VM_FLAG(MAYWRITE)) &&
	       (!strcmp(a->path, "/dev/zero") || str_starts(a->path, "/memfd:") ||
		str_starts(a->path, "/anon_hugepage"));
}

static void find_objects(const struct tree *tree, struct objects *ret)
{
	vec_each(task, &tree->tasks) {
		if ((*task)->memory_of)
			continue;
		vec_each(a, &(*task)->areas.list) {
			struct object *o = is_nameless(a) ? vec_push(&ret->list) : NULL;

			if (o)
				*o = (struct object){*task, a};
		}
	}
	if (ret->list.count)
		qsort(ret->list.items, ret->list.count, sizeof *ret->list.items, compare_objects);
}

static const struct object *find_object(const struct objects *o, const struct vm_area *a)
{
	const struct object key = {.area = a};
	const struct object *found =
		a->shared && o->list.count ? bsearch(&key, o->list.items, o->list.count,
						     sizeof key, compare_objects)
					   : NULL;

	/* One inode number may be that of several file systems. */
	while (found && found > o->list.items && found[-1].area->inode == a->inode)
		found--;
	for (; found && found < o->list.items + o->list.count && found->area->inode == a->inode;
	     found++)
		if (found->area->dev_minor == a->dev_minor && a->dev_major == 0)
			return found;
	return NULL;
}

/* One obstacle for a process is enough. */
static void refuse_mapped(const struct objects *objects, int proc, pid_t pid, struct error **err)
{
	cleanup_free char *path = str_format("%d/maps", pid);
	struct vm_areas areas = {0};
	struct holder holder = {.pid = pid};

	if (path && areas_read(proc, path, &areas) == 0)
		vec_each(a, &areas.list) {
			const struct object *o = find_object(objects, a);

			if (!o)
				continue;
			holder_name(pid, holder.name);
			refuse(err, ENOTSUP, mend,
			       "process %d (%s): the shared memory at 0x%llx (%s) is also that of "
			       "process %d (%s), which is not part of the checkpoint",
			       o->task->pid, o->task->stat.comm,
			       (unsigned long long)o->area->start, o->area->path, pid, holder.name);
			break;
		}
	maps_free(&areas);
}

static void refuse_sharer(const struct sharing *s, pid_t pid, struct error **err)
{
	static const struct {
		enum share_sort sort;
		const char *what;
	} sorts[] = {
		{SHARE_MEMORY, "memory"},
		{SHARE_FILES, "table of descriptors"},
		{SHARE_FS, "working directory (CLONE_FS)"},
	};

	for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
		const struct task *task = NULL;
		struct holder holder = {.pid = pid};
		int r = sharing_find(s, sorts[i].sort, pid, &task);

		/* It has ended, or it is none that we may look into: neither are the others told. */
		if (r < 0)
			return;
		if (!task)
			continue;
		holder_name(pid, holder.name);
		refuse(err, ENOTSUP, mend,
		       "process %d (%s) shares its %s with process %d (%s), which is not part of the "
		       "checkpoint",
		       task->pid, task->stat.comm, sorts[i].what, pid, holder.name);
	}
}

void refuse_shared_outside(const struct tree *tree, const struct sharing *s, struct error **err)
{
	const pid_t self = getpid();
	DIR *d = opendir("/proc");
	struct objects objects = {0};
	struct dirent *e;

	find_objects(tree, &objects);
	while (d && (e = readdir(d))) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);

		if (*end || pid <= 0 || pid == self || tree_find(tree, (pid_t)pid))
			continue;
		refuse_sharer(s, (pid_t)pid, err);
		if (objects.list.count)
			refuse_mapped(&objects, dirfd(d), (pid_t)pid, err);
	}
	if (d)
		closedir(d);
	vec_free(&objects.list);
}

#include "engine/early.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/areas.h"

/* Pages in memory below which smaps is read in no time. */
#define LARGE 8192
/* A tree with more processes, or with threads beside them, is looked at when it is stopped. */
#define MEMBERS 256
#define THREADS 256

/* Flags that a clone does not have, or that mean nothing to an image. */
#define FLAGS_OF_ONE                                                                        \
	(VM_FLAG(LOCKED) | VM_FLAG(LOCKONFAULT) | VM_FLAG(SOFTDIRTY) | VM_FLAG(ACCOUNT) |  \
	 VM_FLAG(UFFD_MISSING) | VM_FLAG(UFFD_WP) | VM_FLAG(UFFD_MINOR))

static bool is_large(pid_t pid)
{
	cleanup_free char *path = str_format("/proc/%d/statm", pid), *text = NULL;
	char *rest;

	if (!path || fd_slurp(AT_FDCWD, path, &text) < 0)
		return false;
	strtoul(text, &rest, 10);
	return strtoul(rest, NULL, 10) >= LARGE;
}

static bool read_areas(pid_t pid, struct vm_areas *ret)
{
	cleanup_free char *path = str_format("/proc/%d/smaps", pid);

	return path && areas_read(AT_FDCWD, path, ret) == 0;
}

static void add(struct early_list *l, pid_t pid)
{
	struct early_maps *m = vec_push(&l->list);

	if (m)
		m->pid = pid;
	if (m && is_large(pid) && !read_areas(pid, &m->areas))
		maps_free(&m->areas);
}

static void add_children(struct early_list *l, pid_t pid, size_t *threads)
{
	cleanup_free char *path = str_format("/proc/%d/task", pid);
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;

	while (dir && *threads < THREADS + MEMBERS && (e = readdir(dir))) {
		cleanup_free char *name = str_format("%s/children", e->d_name), *text = NULL;
		char *rest = NULL, *word;

		if (e->d_name[0] == '.' || !name || fd_slurp(dirfd(dir), name, &text) < 0)
			continue;
		++*threads;
		for (word = strtok_r(text, " \n", &rest); word && l->list.count < MEMBERS;
		     word = strtok_r(NULL, " \n", &rest))
			add(l, (pid_t)atoi(word));
	}
	if (dir)
		closedir(dir);
}

void early_look(struct early_list *l, pid_t root, bool only)
{
	size_t threads = 0;

	add(l, root);
	for (size_t i = 0; !only && i < l->list.count && l->list.count < MEMBERS; i++)
		add_children(l, l->list.items[i].pid, &threads);
}

void early_free(struct early_list *l)
{
	vec_each(m, &l->list)
		maps_free(&m->areas);
	vec_free(&l->list);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_mapping(const struct vm_area *a, const struct vm_area *b)
{
	return a->start == b->start && a->end == b->end && a->prot == b->prot &&
	       a->shared == b->shared && a->offset == b->offset && a->inode == b->inode &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->deleted == b->deleted && same_text(a->path, b->path);
}

static void take_details(struct vm_area *to, const struct vm_area *from)
{
	to->detailed = from->detailed;
	to->page_size = from->page_size;
	to->rss = from->rss;
	to->anonymous = from->anonymous;
	to->swap = from->swap;
	to->locked = from->locked;
	to->anon_huge = from->anon_huge;
	to->pkey = from->pkey;
	to->flags = from->flags;
}

static const struct early_maps *find(const struct early_list *l, pid_t pid)
{
	vec_each(it, &l->list)
		if (it->pid == pid && it->areas.list.count)
			return it;
	return NULL;
}

bool early_has(const struct early_list *l, pid_t pid)
{
	return find(l, pid);
}

bool early_apply(const struct early_list *l, pid_t pid, struct vm_areas *areas)
{
	const struct early_maps *m = find(l, pid);

	if (!m)
		return false;
	for (size_t i = 0; i < areas->list.count; i++) {
		struct vm_area *a = &areas->list.items[i];
		const struct vm_area *before = maps_find(&m->areas, a->start);

		if (!before || !before->detailed || !same_mapping(a, before))
			return false;
		take_details(a, before);
	}
	return true;
}

/* The clone gives up what is shared, and has never had what is not inherited. */
static bool clone_has(const struct vm_area *a)
{
	return !a->shared && !(a->flags & VM_FLAG(DONTCOPY));
}

static bool same_details(const struct vm_area *a, const struct vm_area *b)
{
	return a->pkey == b->pkey && !((a->flags ^ b->flags) & ~(FLAGS_OF_ONE));
}

bool early_confirm(const struct vm_areas *believed, const struct vm_areas *clone)
{
	vec_each(a, &believed->list) {
		const struct vm_area *b = maps_find(clone, a->start);

		if (a->gate || !clone_has(a))
			continue;
		if (!b || b->start != a->start || b->end != a->end || !same_details(a, b))
			return false;
	}
	return true;
}

/* Another mapping may be there by now, or a larger one. */
static bool is_still_there(const struct vm_area *a, const struct vm_area *b)
{
	return b && b->shared == a->shared && b->inode == a->inode && b->prot == a->prot &&
	       b->dev_major == a->dev_major && b->dev_minor == a->dev_minor;
}

bool early_confirm_running(const struct vm_areas *believed, const struct vm_areas *now, bool cloned)
{
	vec_each(a, &believed->list) {
		const struct vm_area *b = maps_find(now, a->start);

		if (a->gate || (cloned && clone_has(a)))
			continue;
		if (is_still_there(a, b) && !same_details(a, b))
			return false;
	}
	return true;
}

static bool clone_has_all(const struct vm_areas *areas)
{
	vec_each(a, &areas->list)
		if (!a->gate && !clone_has(a))
			return false;
	return true;
}

bool early_was_right(const struct task *task, pid_t clone)
{
	struct vm_areas of_clone cleanup_maps = {0}, now cleanup_maps = {0};

	if (!task->early)
		return true;
	if (clone && (!read_areas(clone, &of_clone) || !early_confirm(&task->areas, &of_clone)))
		return false;
	if (clone && clone_has_all(&task->areas))
		return true;
	return read_areas(task->pid, &now) && early_confirm_running(&task->areas, &now, clone);
}

#include "engine/share.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	int what;
	size_t field;
} sorts[SHARE_SORTS] = {
	[SHARE_MEMORY] = {KCMP_VM, offsetof(struct task, memory_of)},
	[SHARE_FILES] = {KCMP_FILES, offsetof(struct task, files_of)},
	[SHARE_FS] = {KCMP_FS, offsetof(struct task, fs_of)},
	[SHARE_SIGNALS] = {KCMP_SIGHAND, offsetof(struct task, signals_of)},
};

/* Who shares with pid (1), or where pid would stand among the owners (0); -errno of kcmp(2). */
static int look_up(const struct sharing *s, enum share_sort sort, pid_t pid, size_t *ret_at)
{
	size_t lo = 0, hi = s->owners[sort].count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		pid_t owner = s->owners[sort].items[mid]->pid;
		long order = syscall(SYS_kcmp, owner, pid, sorts[sort].what, 0, 0);

		if (order < 0)
			return -errno;
		*ret_at = mid;
		if (order == 0)
			return 1;
		/* 1: the owner's is less. */
		if (order == 1)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_at = lo;
	return 0;
}

static int share(struct sharing *s, enum share_sort sort, struct task *task, struct error **err)
{
	struct task **shared_with = (struct task **)((char *)task + sorts[sort].field);
	size_t at = 0;
	int r = look_up(s, sort, task->pid, &at);

	if (r < 0)
		return fail_errno(err, -r, "cannot compare process %d with others", task->pid);
	if (r > 0) {
		*shared_with = s->owners[sort].items[at];
		return 0;
	}
	if (!vec_push(&s->owners[sort]))
		return fail(err, ENOMEM, "out of memory");
	memmove(&s->owners[sort].items[at + 1], &s->owners[sort].items[at],
		(s->owners[sort].count - 1 - at) * sizeof task);
	s->owners[sort].items[at] = task;
	return 0;
}

int find_sharing(struct sharing *s, struct tree *tree, struct error **err)
{
	for (enum share_sort sort = 0; sort < SHARE_SORTS; sort++)
		vec_each(task, &tree->tasks) {
			int r = (*task)->zombie ? 0 : share(s, sort, *task, err);

			if (r < 0)
				return r;
		}
	return 0;
}

int sharing_find(const struct sharing *s, enum share_sort sort, pid_t pid, const struct task **ret)
{
	size_t at;
	int r = look_up(s, sort, pid, &at);

	*ret = r > 0 ? s->owners[sort].items[at] : NULL;
	return r < 0 ? r : 0;
}

void sharing_free(struct sharing *s)
{
	for (enum share_sort sort = 0; sort < SHARE_SORTS; sort++)
		vec_free(&s->owners[sort]);
}

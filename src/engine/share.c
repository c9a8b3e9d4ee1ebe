#include "engine/share.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Those who have one of a sort each, in the order of kcmp(2). */
struct owners {
	VEC(struct task *) list;
};

static int share(struct owners *o, struct task *task, int what, struct task **ret,
		 struct error **err)
{
	size_t lo = 0, hi = o->list.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct task *owner = o->list.items[mid];
		long order = syscall(SYS_kcmp, owner->pid, task->pid, what, 0, 0);

		if (order < 0)
			return fail_errno(err, errno, "cannot compare processes %d and %d",
					  owner->pid, task->pid);
		if (order == 0) {
			*ret = owner;
			return 0;
		}
		/* 1: the owner's is less. */
		if (order == 1)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!vec_push(&o->list))
		return fail(err, ENOMEM, "out of memory");
	memmove(&o->list.items[lo + 1], &o->list.items[lo],
		(o->list.count - 1 - lo) * sizeof task);
	o->list.items[lo] = task;
	return 0;
}

int find_sharing(struct tree *tree, struct error **err)
{
	static const struct {
		int what;
		size_t field;
	} sorts[] = {
		{KCMP_VM, offsetof(struct task, memory_of)},
		{KCMP_FILES, offsetof(struct task, files_of)},
		{KCMP_FS, offsetof(struct task, fs_of)},
		{KCMP_SIGHAND, offsetof(struct task, signals_of)},
	};
	int r = 0;

	for (size_t i = 0; i < sizeof sorts / sizeof *sorts && tree->tasks.count > 1; i++) {
		struct owners o = {0};

		vec_each(it, &tree->tasks) {
			struct task **field = (struct task **)((char *)*it + sorts[i].field);

			if (r == 0 && !(*it)->zombie)
				r = share(&o, *it, sorts[i].what, field, err);
		}
		vec_free(&o.list);
	}
	return r;
}

#include "engine/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/ask.h"
#include "engine/early.h"
#include "engine/mappings.h"
#include "engine/seize.h"
#include "inject/track.h"
#include "task/areas.h"
#include "task/task.h"

/* The thread is in. */
static int make_within(const struct task *task, struct injection *in, struct error **err)
{
	int r = inject_map(in, err), uffd;

	if (r < 0)
		return r;
	uffd = track_make(in, task->pidfd, err);
	r = inject_unmap(in, err);
	if (r < 0 && uffd >= 0)
		close(uffd);
	return r < 0 ? r : uffd;
}

/* The descriptor, or why there is none. */
static int make_uffd(struct task *task, struct error **err)
{
	const struct thread *t = task_leader(task);
	uint64_t pending = t->status.sig_pending | t->status.shared_pending;
	struct injection in = {0};
	int r = inject_begin(&in, task->pid, task->mem, &task->areas, &task->leftovers, 0,
			     t->status.sig_ignored, t->status.sig_caught, pending, err), uffd = -1;

	if (r < 0)
		return r;
	in.wary = t->wary;
	r = inject_enter(&in, t->tid, &t->regs, t->sigmask, err);
	if (r == 0)
		r = uffd = make_within(task, &in, err);
	if (in.tid && inject_leave(&in, r < 0 ? NULL : err) < 0 && r >= 0)
		r = -ESRCH;
	inject_end(&in);
	if (r < 0 && uffd >= 0)
		close(uffd);
	return r;
}

/*
 * While it stands still: a list of mappings that is old by the time would let us split one, which
 * mremap(2) would then refuse to move.
 */
static void register_areas(const struct task *task, int uffd)
{
	vec_each(a, &task->areas.list)
		if (!a->shared && !a->gate && area_special(a) == AREA_ORDINARY)
			track_register(uffd, a->start, a->end);
}

static int add_task(struct task *task, const struct early_list *early,
		    const struct tracked *held, struct tracked *ret)
{
	const struct held *had;
	struct held *h;
	struct error *why = NULL;
	int uffd = -1;

	/* What it is under is the checkpoint's to say; here it is left alone. */
	if (task->zombie || read_task(task, early, &why) < 0 || mend_task(task, &why) < 0 ||
	    task_leader(task)->status.seccomp) {
		error_free(why);
		return 0;
	}
	had = held_find(held, task->pid, task->stat.starttime);
	uffd = had && had->uffd >= 0 ? fcntl(had->uffd, F_DUPFD_CLOEXEC, 3) : make_uffd(task, &why);
	error_free(why);
	if (uffd < 0)
		return 0;
	h = vec_push(&ret->processes);
	if (!h) {
		close(uffd);
		return -ENOMEM;
	}
	*h = (struct held){task->pid, task->stat.starttime, uffd, -1};
	register_areas(task, uffd);
	return 0;
}

static int watch_stopped(struct tree *tree, const struct early_list *early, struct tracked *ret,
			 struct error **err)
{
	struct tracked held = TRACKED_NONE;
	struct task *root = tree->tasks.items[0];
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp(root, "stat", &text);
	int r = 0;

	if (n > 0 && stat_parse(text, (size_t)n, &root->stat) == 0)
		holder_find(root->pid, root->stat.starttime, &held);
	/* Its marks are about to be ours. */
	r = holder_end(&held, err);
	vec_each(task, &tree->tasks)
		if (r == 0)
			r = add_task(*task, early, &held, ret);
	tracked_free(&held);
	return r;
}

int watch_tree(pid_t pid, bool only, struct tracked *ret, struct error **err)
{
	struct tree tree cleanup_tree = {0};
	struct early_list early = {0};
	struct task *task;
	uint64_t began;
	int r = task_open(&task, pid, err);

	if (r == 0 && tree_add(&tree, task) < 0)
		return fail(err, ENOMEM, "out of memory");
	if (r == 0)
		r = survey_task(task, NULL, err);
	if (r == 0) {
		early_look(&early, pid, only);
		r = seize_tree(&tree, only, &began, err);
	}
	if (r < 0) {
		early_free(&early);
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return r;
	}
	ret->how = TRACK_UFFD;
	r = watch_stopped(&tree, &early, ret, err);
	early_free(&early);
	for (size_t i = tree.tasks.count; i-- > 0;)
		release_task(tree.tasks.items[i], 0);
	return r;
}

int watch_read(const struct held *h, struct vm_areas *ret_areas, struct page_source *ret_source)
{
	cleanup_free char *folder = str_format("/proc/%d", h->pid);
	cleanup_close int proc = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct task task = {.pid = h->pid, .proc = proc, .mem = -1};
	int r;

	*ret_source = PAGE_SOURCE_NONE;
	if (proc < 0)
		return -ESRCH;
	r = areas_read(proc, "maps", ret_areas);
	task.mem = r < 0 ? -1 : openat(proc, "mem", O_RDONLY | O_CLOEXEC);
	if (r == 0)
		r = task.mem < 0 ? -errno : source_of_task(ret_source, &task, NULL);
	close_fdp(&task.mem);
	return r;
}

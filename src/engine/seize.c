#include "engine/seize.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/timeout.h"
#include "engine/unfinished.h"
#include "inject/trace.h"
#include "proc/syscall.h"

/*
 * Milliseconds.  A thread on a lost network file system may not stop for ages; one within
 * vfork(2) goes on when its child does, who still runs and so needs no more than a moment.
 */
#define STOP_PATIENCE 5000
#define VFORK_PATIENCE 1000
/* Nanoseconds.  A tree in which only what is new is found for so long grows too fast. */
#define HUNT_PATIENCE UINT64_C(10000000000)
/* A process that only seems to be what a killed checkpoint has left does not hold us up for ever. */
#define UNFINISHED_PATIENCE UINT64_C(2000000000)

/* A tree that is being stopped. */
struct hunt {
	struct tree *tree;
	size_t fresh;     /* the tasks from here on may have threads that run */
	uint64_t give_up; /* CLOCK_MONOTONIC */
	uint64_t began;   /* in clock ticks since boot, as processes begin */
	uint64_t *ret_began;
	bool only;       /* no children become members */
	bool may_wait;   /* for what a killed checkpoint has not finished */
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t ticks_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec) /
	       (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static struct thread *find_thread(struct task *task, pid_t tid)
{
	vec_each(t, &task->threads)
		if ((*t)->tid == tid)
			return *t;
	return NULL;
}

/* A list of threads that is gone through once more. */
struct listing {
	size_t known; /* those that were seized before */
	size_t next;  /* where the next of them is expected: the kernel lists them in one order */
};

static bool is_known(const struct task *task, struct listing *l, pid_t tid)
{
	for (size_t i = 0; i < l->known; i++) {
		size_t at = (l->next + i) % l->known;

		if (task->threads.items[at]->tid != tid)
			continue;
		l->next = at + 1;
		return true;
	}
	return false;
}

static void drop_thread(struct task *task, size_t i)
{
	free(task->threads.items[i]);
	memmove(&task->threads.items[i], &task->threads.items[i + 1],
		(--task->threads.count - i) * sizeof(struct thread *));
}

static int add_thread(struct task *task, pid_t tid, struct error **err)
{
	struct thread *t = calloc(1, sizeof *t), **slot;
	int r;

	slot = t ? vec_push(&task->threads) : NULL;
	if (!slot) {
		free(t);
		return fail(err, ENOMEM, "out of memory");
	}
	*t = (struct thread){.task = task, .tid = tid};
	*slot = t;
	r = trace_seize(tid, CAPTURE_OPTIONS, err);
	t->attached = r == 0;
	if (r < 0)
		drop_thread(task, task->threads.count - 1);
	return r;
}

static bool read_stat(const struct task *task, const char *name, struct proc_stat *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(task, name, &text) : -1;

	return n >= 0 && stat_parse(text, (size_t)n, ret) == 0;
}

/* It is gone, or a zombie. */
static bool has_ended(const struct task *task)
{
	struct proc_stat st;

	return !read_stat(task, "stat", &st) || st.state == 'X' ||
	       (st.state == 'Z' && st.num_threads <= 1);
}

static bool thread_has_ended(const struct task *task, pid_t tid)
{
	cleanup_free char *name = str_format("task/%d/stat", tid);
	struct proc_stat st;

	return !read_stat(task, name, &st) || st.state == 'X' || st.state == 'Z';
}

/* The kernel's own, for io_uring: it never runs the program's code, and never stops. */
static bool is_io_worker(const struct task *task, pid_t tid)
{
	cleanup_free char *stat = str_format("task/%d/stat", tid);
	struct proc_stat st;

	return tid != task->pid && read_stat(task, stat, &st) && (st.flags & PROC_STAT_IO_WORKER);
}

/* 1: seized; 0: not needed, it is ours already or has ended. */
static int seize_thread(struct task *task, struct listing *l, pid_t tid, struct error **err)
{
	struct error *inner = NULL;
	int r;

	if (is_known(task, l, tid) || is_io_worker(task, tid))
		return 0;
	r = add_thread(task, tid, &inner);
	if (r == 0)
		return 1;
	/* It ended between the listing and the seizing; that is its right. */
	if (r != -ENOMEM && thread_has_ended(task, tid)) {
		error_free(inner);
		if (tid != task->pid || has_ended(task))
			return 0;
		return refuse(err, ENOTSUP, NULL,
			      "the main thread of process %d has ended while other threads live on, "
			      "which is not supported yet",
			      task->pid);
	}
	error_merge(err, &inner);
	return r;
}

/* Seizes every thread that is not yet ours; they run on.  Returns how many were new. */
static int seize_new_threads(struct task *task, struct error **err)
{
	int fd = openat(task->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
	struct listing listing = {.known = task->threads.count};
	struct dirent *e;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		found = fail_errno(err, errno, "cannot look at process %d", task->pid);
	while (dir && found >= 0 && (e = readdir(dir))) {
		pid_t tid = (pid_t)atoi(e->d_name);
		int r = tid > 0 ? seize_thread(task, &listing, tid, err) : 0;

		found = r < 0 ? r : found + r;
	}
	if (dir)
		closedir(dir);
	else
		close_fdp(&fd);
	return found;
}

/* The main thread first: it is another one after a thread has executed a program. */
static void sort_threads(struct task *task)
{
	for (size_t i = 1; i < task->threads.count; i++) {
		struct thread *t = task->threads.items[i];

		if (t->tid != task->pid)
			continue;
		task->threads.items[i] = task->threads.items[0];
		task->threads.items[0] = t;
	}
}

/* A member that has ended was not stopped; when it is a zombie the next pass finds it as one. */
static int drop_ended(struct hunt *h, size_t i, struct error **err)
{
	struct task *task = h->tree->tasks.items[i];

	if (i == 0)
		return fail(err, ESRCH, "process %d ended while it was being stopped", task->pid);
	tree_drop(h->tree, task);
	return 0;
}

/* Who is not there any more is found out by waiting for it. */
static int interrupt(const struct thread *t, struct error **err)
{
	int r = trace_interrupt(t->tid);

	return r == 0 || r == -ESRCH ? 0 : fail_errno(err, -r, "cannot stop thread %d", t->tid);
}

/*
 * Seizes what runs of the fresh tasks, and interrupts it only when all of them were looked at:
 * looking takes longer, and meanwhile the program runs.  Returns how many threads were new.
 */
static int interrupt_fresh(struct hunt *h, struct error **err)
{
	int found = 0;

	for (size_t i = h->fresh; i < h->tree->tasks.count;) {
		struct task *task = h->tree->tasks.items[i];
		int r = task->zombie ? 0 : seize_new_threads(task, err);

		if (r < 0)
			return r;
		found += r;
		if (task->zombie || task->threads.count)
			i++;
		else if ((r = drop_ended(h, i, err)) < 0)
			return r;
	}
	for (size_t i = h->fresh; found && i < h->tree->tasks.count; i++)
		vec_each(t, &h->tree->tasks.items[i]->threads)
			if (!(*t)->stopped)
				timeout_observe(*t);
	if (found && !*h->ret_began)
		*h->ret_began = now();
	for (size_t i = h->fresh; found && i < h->tree->tasks.count; i++)
		vec_each(t, &h->tree->tasks.items[i]->threads) {
			int r = (*t)->stopped ? 0 : interrupt(*t, err);

			if (r < 0)
				return r;
		}
	return found;
}

/* A signal that was just being delivered is delivered; the interrupt comes right after. */
static int wait_until_stopped(struct thread *t, unsigned int milliseconds)
{
	struct stop stop;

	for (;;) {
		int r = trace_wait_for(t->tid, milliseconds, &stop);

		if (r == -ETIMEDOUT)
			return r;
		if (r < 0 || stop.kind == STOP_GONE)
			return -ESRCH;
		if (stop.kind == STOP_INTERRUPT || stop.kind == STOP_GROUP) {
			t->stopped = true;
			t->group_stop = stop.kind == STOP_GROUP ? stop.signal : 0;
			return mend_interrupted(t);
		}
		r = trace_continue(t->tid, stop.kind == STOP_SIGNAL ? stop.signal : 0);
		if (r < 0)
			return r;
	}
}

/* It is in vfork(2), or in what the C library makes posix_spawn(3) of. */
static bool in_vfork(const struct thread *t)
{
	cleanup_free char *name = str_format("task/%d/syscall", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(t->task, name, &text) : -1;
	struct proc_syscall call;
	uint64_t flags = 0;

	if (n < 0 || syscall_parse(text, (size_t)n, &call) < 0 ||
	    call.state != PROC_SYSCALL_IN_CALL)
		return false;
	if (call.nr == SYS_clone)
		flags = call.args[0];
	if (call.nr == SYS_clone3 &&
	    task_peek(t->task, call.args[0], &flags, sizeof flags) != sizeof flags)
		flags = 0;
#ifdef SYS_vfork
	if (call.nr == SYS_vfork)
		flags = CLONE_VFORK;
#endif
	return flags & CLONE_VFORK;
}

/* The child for which the thread waits in vfork(2); 0: it does not. */
static pid_t vfork_child(const struct thread *t)
{
	cleanup_free char *name = str_format("task/%d/children", t->tid);
	cleanup_free char *text = NULL;
	char *rest, *word;
	pid_t child = 0;

	if (!in_vfork(t) || !name || task_slurp(t->task, name, &text) < 0)
		return 0;
	for (word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		child = (pid_t)atoi(word);
	return child;
}

static int refuse_restless(const struct thread *t, pid_t child, struct error **err)
{
	static const char mend[] = "try again once that has ended";

	if (child)
		return refuse(err, EBUSY, mend,
			      "thread %d of process %d does not stop: it waits in vfork(2) for its "
			      "child, process %d, to end or to execute a program",
			      t->tid, t->task->pid, child);
	return refuse(err, EBUSY, mend,
		      "thread %d of process %d does not stop: it waits in the kernel where nothing "
		      "wakes it (vfork(2), a dead disk)",
		      t->tid, t->task->pid);
}

static int wait_patiently(struct thread *t, struct error **err)
{
	pid_t child = 0;
	int r;

	for (unsigned int waited = 0; waited < STOP_PATIENCE; waited += VFORK_PATIENCE) {
		r = wait_until_stopped(t, VFORK_PATIENCE);
		if (r != -ETIMEDOUT)
			return r;
		child = vfork_child(t);
		if (child)
			break;
	}
	if (t->tid == t->task->pid && thread_has_ended(t->task, t->tid))
		return refuse(err, ENOTSUP, NULL,
			      "the main thread of process %d has ended while other threads live on, "
			      "which is not supported yet",
			      t->task->pid);
	return refuse_restless(t, child, err);
}

static int wait_for_task(struct task *task, struct error **err)
{
	for (size_t i = 0; i < task->threads.count;) {
		struct thread *t = task->threads.items[i], *leader;
		int r = t->stopped ? 0 : wait_patiently(t, err);

		if (r == 0) {
			i++;
			continue;
		}
		if (r != -ESRCH)
			return r;
		drop_thread(task, i);
		/* When it executed a program it has taken the place of the main one, and runs. */
		leader = find_thread(task, task->pid);
		if (!leader || arch_get_regs(leader->tid, &leader->regs) == 0)
			continue;
		leader->stopped = false;
		r = interrupt(leader, err);
		if (r < 0)
			return r;
		i = 0;
	}
	return 0;
}

static int stop_fresh(struct hunt *h, struct error **err)
{
	int r;

	/* All are interrupted before the first is waited for: one by one, spinning threads take ages. */
	while ((r = interrupt_fresh(h, err)) > 0) {
		for (size_t i = h->fresh; i < h->tree->tasks.count; i++) {
			r = wait_for_task(h->tree->tasks.items[i], err);
			if (r < 0)
				return r;
		}
		if (now() > h->give_up)
			return refuse(err, EBUSY, "try again when it is less busy",
				      "its threads come and go faster than they can be stopped");
	}
	for (size_t i = h->fresh; r == 0 && i < h->tree->tasks.count; i++)
		sort_threads(h->tree->tasks.items[i]);
	return r;
}

/* A process that was seen as a child of a member. */
static int adopt(struct hunt *h, pid_t pid, struct error **err)
{
	struct error *inner = NULL;
	struct task *task = NULL;
	struct proc_stat st;
	int r = task_open(&task, pid, &inner);

	if (r == 0 && !read_stat(task, "stat", &st))
		r = -ESRCH;
	if (r == 0 && h->may_wait && tree_find(h->tree, st.ppid) &&
	    is_unfinished(tree_find(h->tree, st.ppid), pid, &st)) {
		task_free(task);
		return -EINPROGRESS;
	}
	if (r == 0 && h->only) {
		task_free(task);
		return 0;
	}
	if (r == 0) {
		task->zombie = st.state == 'Z' && st.num_threads <= 1;
		r = st.state == 'X' ? -ESRCH : task->zombie ? 0 : survey_task(task, &st, &inner);
	}
	if (r == 0) {
		error_free(inner);
		/* A big tree on a slow machine takes its time: these are finitely many. */
		if (st.starttime < h->began)
			h->give_up = now() + HUNT_PATIENCE;
		return tree_add(h->tree, task) < 0 ? fail(err, ENOMEM, "out of memory") : 1;
	}
	/* What ended in the meantime is no obstacle. */
	if (task ? has_ended(task) : r == -ESRCH) {
		error_free(inner);
		r = 0;
	} else {
		error_merge(err, &inner);
	}
	task_free(task);
	return r;
}

/* The kernel lists the children of each thread (CONFIG_PROC_CHILDREN). */
static int scan_children(struct hunt *h, const struct thread *t, struct error **err)
{
	cleanup_free char *name = str_format("task/%d/children", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp(t->task, name, &text) : -ENOMEM;
	char *rest, *word;
	int found = 0;

	if (n == -ENOENT)
		return refuse(err, ENOTSUP, "use a kernel with CONFIG_PROC_CHILDREN",
			      "this kernel does not tell the children of a process");
	if (n < 0)
		return n == -ESRCH ? 0 : fail_errno(err, (int)-n, "cannot list the children of %d",
						    t->tid);
	for (word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
		pid_t pid = (pid_t)atoi(word);
		int r = tree_find(h->tree, pid) ? 0 : adopt(h, pid, err);

		if (r < 0)
			return r;
		found += r;
	}
	return found;
}

/* Who is a child of the stopped tasks from this one on and not a member yet.  Returns how many. */
static int find_children(struct hunt *h, size_t from, struct error **err)
{
	size_t end = h->tree->tasks.count;
	int found = 0;

	for (size_t i = from; i < end; i++) {
		struct task *task = h->tree->tasks.items[i];

		vec_each(t, &task->threads) {
			int r = scan_children(h, *t, err);

			if (r < 0)
				return r;
			found += r;
		}
	}
	return found;
}

/*
 * Generation after generation: parents stand still before their children are listed.  What ends
 * meanwhile leaves its children to a subreaper, which may be an earlier member: so the end is a
 * pass over all of them that finds nobody.
 */
static int hunt(struct hunt *h, struct error **err)
{
	int r = stop_fresh(h, err);
	bool all = true;

	while (r == 0) {
		size_t from = all ? 0 : h->fresh, before = h->tree->tasks.count;

		r = find_children(h, from, err);
		if (r < 0 || (r == 0 && all))
			return r;
		all = r == 0;
		h->fresh = before;
		r = all ? 0 : stop_fresh(h, err);
		if (r == 0 && now() > h->give_up)
			r = refuse(err, EBUSY, "try again when it is less busy",
				   "its processes come and go faster than they can be stopped");
	}
	return r;
}

/* Who is whose child now.  Whoever a member's end has taken out of the tree goes on. */
static void find_parents(struct tree *tree)
{
	for (size_t i = 1; i < tree->tasks.count;) {
		struct task *task = tree->tasks.items[i];

		task->stat_known = read_stat(task, "stat", &task->stat);
		task->parent = task->stat_known ? tree_find(tree, task->stat.ppid) : NULL;
		if (task->parent) {
			i++;
			continue;
		}
		release_task(task, 0);
		tree_drop(tree, task);
	}
}

/* Only who stands still can be let go. */
static void give_up(struct tree *tree)
{
	vec_each(task, &tree->tasks) {
		vec_each(t, &(*task)->threads)
			if (!(*t)->stopped && trace_interrupt((*t)->tid) == 0)
				wait_until_stopped(*t, 50);
		release_task(*task, 0);
	}
}

static int seize_alone(struct hunt *h, struct error **err)
{
	int r = stop_fresh(h, err);

	/* What cannot be listed is no obstacle to who has no children here. */
	if (r == 0 && find_children(h, 0, NULL) == -EINPROGRESS)
		r = -EINPROGRESS;
	return r;
}

/* As it was before: it goes on, and only the root is known. */
static void begin_anew(struct tree *tree)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	struct task *root = tree->tasks.items[0];

	give_up(tree);
	while (tree->tasks.count > 1)
		tree_drop(tree, tree->tasks.items[tree->tasks.count - 1]);
	while (root->threads.count)
		drop_thread(root, root->threads.count - 1);
	nanosleep(&nap, NULL);
}

int seize_tree(struct tree *tree, bool only, uint64_t *ret_began, struct error **err)
{
	uint64_t began = now();
	int r;

	for (;;) {
		struct hunt h = {
			.tree = tree,
			.give_up = now() + HUNT_PATIENCE,
			.began = ticks_now(),
			.ret_began = ret_began,
			.only = only,
			.may_wait = now() - began < UNFINISHED_PATIENCE,
		};

		r = only ? seize_alone(&h, err) : hunt(&h, err);
		if (r != -EINPROGRESS)
			break;
		begin_anew(tree);
	}
	if (r < 0)
		give_up(tree);
	else
		find_parents(tree);
	return r;
}

void release_task(struct task *task, int signal)
{
	/* PTRACE_DETACH hands a signal over only at a stop for a signal; this is none. */
	if (signal && !task->zombie)
		kill(task->pid, signal);
	/* Backwards: the main thread last. */
	for (size_t i = task->threads.count; i-- > 0;) {
		struct thread *t = task->threads.items[i];

		if (t->attached)
			trace_detach(t->tid, 0);
		t->attached = t->stopped = false;
	}
	if (task->threads.count && task_leader(task)->group_stop)
		task_await_stop(task->proc);
}

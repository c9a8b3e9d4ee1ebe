#include "engine/filters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/seize.h"
#include "kind/kind.h"
#include "priv/priv.h"
#include "priv/seccomp.h"

#define SECCOMP_MODE_FILTERS 2
#define GENERATIONS 256 /* who has more ancestors may say so */

/* 0, or -errno: there is none, or it is not shown. */
static int read_status(int dir, const char *name, struct proc_status *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(dir, name, &text);

	return n < 0 ? (int)n : status_parse(text, (size_t)n, ret);
}

static bool thread_has(int tasks, const char *tid, uint32_t count)
{
	cleanup_free char *name = str_format("%s/status", tid);
	struct proc_status st cleanup_status = {0};

	return name && read_status(tasks, name, &st) == 0 && st.seccomp == SECCOMP_MODE_FILTERS &&
	       st.seccomp_filters == count;
}

/* Any of its threads may have made the child. */
static bool all_threads_have(pid_t pid, uint32_t count)
{
	cleanup_free char *path = str_format("/proc/%d/task", pid);
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;
	bool all = true;

	if (!dir)
		return false;
	while (all && (e = readdir(dir)))
		all = e->d_name[0] == '.' || thread_has(dirfd(dir), e->d_name, count);
	closedir(dir);
	return all;
}

static pid_t parent_of(pid_t pid)
{
	cleanup_free char *path = str_format("/proc/%d/status", pid);
	struct proc_status st cleanup_status = {0};

	return path && read_status(AT_FDCWD, path, &st) == 0 ? st.ppid : 0;
}

/* pid itself first; the last one's parent is not shown here. */
static size_t ancestors(pid_t pid, pid_t line[GENERATIONS])
{
	size_t n = 0;

	for (; pid > 0 && n < GENERATIONS; pid = parent_of(pid))
		line[n++] = pid;
	return n;
}

bool filters_are_shared(pid_t a, pid_t b, uint32_t count)
{
	pid_t of_a[GENERATIONS], of_b[GENERATIONS];
	size_t na = ancestors(a, of_a), nb = ancestors(b, of_b), i = 0, j = 0;

	/* Linux before 5.9 does not tell how many. */
	if (!count)
		return false;
	for (i = 0; i < na; i++) {
		for (j = 0; j < nb && of_b[j] != of_a[i]; j++)
			;
		if (j < nb)
			break;
	}
	if (i == na)
		return false;
	for (size_t k = 0; k <= i; k++)
		if (!all_threads_have(of_a[k], count))
			return false;
	for (size_t k = 0; k < j; k++)
		if (!all_threads_have(of_b[k], count))
			return false;
	return true;
}

static bool are_ours(const struct proc_status *st)
{
	return st->seccomp == SECCOMP_MODE_FILTERS &&
	       filters_are_shared(getpid(), st->tgid, st->seccomp_filters);
}

static int refuse_filters(const struct proc_status *st, struct error **err)
{
	return refuse(err, EPERM,
		      "run it without the filter, or run the checkpoint as root and outside of any",
		      "%s %d runs under a seccomp %s, which could kill it for what a checkpoint asks "
		      "of it",
		      st->pid == st->tgid ? "process" : "thread", st->pid,
		      st->seccomp == SECCOMP_MODE_FILTERS ? "filter" : "strict mode");
}

int filters_admit(struct thread *t, struct error **err)
{
	const struct thread *leader = task_leader(t->task);

	if (!t->status.seccomp || priv_filter_suspend(t->tid, CAPTURE_OPTIONS) == 0)
		return 0;
	/* Whoever has looked for the main thread has looked at all of them. */
	t->wary = t != leader && leader->wary
			  ? t->status.seccomp_filters == leader->status.seccomp_filters
			  : are_ours(&t->status);
	return t->wary ? 0 : refuse_filters(&t->status, err);
}

void filters_foresee(const struct proc_status *st, struct error **err)
{
	if (st->seccomp && !are_ours(st) && !priv_can(PRIV_FILTERS_SUSPEND))
		refuse_filters(st, err);
}

unsigned long filters_restore_options(const struct rebuild *r)
{
	vec_each(s, &r->states)
		if (s->message->descriptor == &rec__seccomp__descriptor &&
		    !((const Rec__Seccomp *)s->message)->inherited)
			return PTRACE_O_SUSPEND_SECCOMP;
	return 0;
}

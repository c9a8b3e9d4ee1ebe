/* Everything that forbids a checkpoint and can be seen without stopping the target. */
#include "engine/filters.h"
#include "engine/seize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/namespaces.h"
#include "proc/stat.h"
#include "proc/status.h"

static char *name_of(pid_t pid)
{
	cleanup_free char *path = str_format("/proc/%d/comm", pid);
	char *name = NULL;

	if (!path || fd_slurp(AT_FDCWD, path, &name) < 0)
		return NULL;
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/*
 * ptrace(2) goes by what we are permitted, and a capability of the tool's file is none of its
 * user's: what is set aside (priv_set_aside()) does not count.  Each thread has its own, and until
 * it stood still it could have got it.  In another user namespace capabilities are over that one,
 * and the kernel asks for its owner.
 */
static void refuse_gained(const struct task *task, const struct namespaces *ours,
			  struct error **err)
{
	struct proc_status own cleanup_status = {0};
	cleanup_free char *text = NULL;
	uint64_t any = 0, aside;
	ssize_t n;

	vec_each(t, &task->threads)
		any |= (*t)->status.cap_permitted;
	if (!any || !namespace_is_same(&task->namespaces, ours, NAMESPACE_USER))
		return;
	n = fd_slurp_record(AT_FDCWD, "/proc/thread-self/status", &text);
	if (n < 0 || status_parse(text, (size_t)n, &own) < 0) {
		fail(err, EIO, "cannot tell which capabilities there are");
		return;
	}
	aside = own.cap_permitted & ~own.cap_effective;
	vec_each(t, &task->threads)
		if ((*t)->status.cap_permitted & aside) {
			refuse(err, EPERM, "checkpoint it as root",
			       "its thread %d has capabilities that you have not", (*t)->tid);
			return;
		}
}

void survey_stopped(const struct task *task, const struct namespaces *ours, struct error **err)
{
	refuse_namespaces(task, ours, err);
	refuse_gained(task, ours, err);
}

/* Whoever may look into it may stop it, but for Yama, which is heard of at the seizing. */
static void refuse_owner(const struct task *task, const struct proc_status *st, struct error **err)
{
	cleanup_close int maps = openat(task->proc, "maps", O_RDONLY | O_CLOEXEC);
	struct proc_status own cleanup_status = {0};
	cleanup_free char *text = NULL;
	ssize_t n = maps < 0 ? fd_slurp(AT_FDCWD, "/proc/self/status", &text) : -1;
	struct stat file;

	if (maps >= 0 || n < 0 || status_parse(text, (size_t)n, &own) < 0)
		return;
	if (memcmp(st->uid, own.uid, sizeof own.uid) != 0)
		refuse(err, EPERM, "checkpoint it as its own user, or as root",
		       "it belongs to user %u, and you are user %u", st->uid[0], own.uid[0]);
	else if (memcmp(st->gid, own.gid, sizeof own.gid) != 0)
		refuse(err, EPERM, "checkpoint it as that group (see newgrp(1)), or as root",
		       "it belongs to group %u, and yours is %u", st->gid[0], own.gid[0]);
	else if (st->cap_permitted & ~own.cap_effective)
		refuse(err, EPERM, "checkpoint it with these capabilities, or as root",
		       "it has capabilities that you have not");
	/* The files of a process that is not dumpable belong to root (proc(5)). */
	else if (fstatat(task->proc, "maps", &file, 0) == 0 && file.st_uid != own.uid[1])
		refuse(err, EPERM,
		       "the program itself can allow it with prctl(PR_SET_DUMPABLE, 1)",
		       "it is not dumpable: the kernel lets only root look into it");
	else
		refuse(err, EPERM, "stasis doctor tells what is permitted here",
		       "the kernel does not let you look into it");
}

static int read_stat(const struct task *task, struct proc_stat *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp_record(task, "stat", &text);

	return n < 0 ? (int)n : stat_parse(text, (size_t)n, ret);
}

int survey_task(const struct task *task, const struct proc_stat *stat, struct error **err)
{
	cleanup_free char *text = NULL;
	struct proc_status st __attribute__((cleanup(status_free))) = {0};
	struct proc_stat own;
	struct error *found = NULL;
	ssize_t n = task_slurp_record(task, "status", &text);
	int r = stat ? 0 : read_stat(task, &own);

	if (n < 0 || r < 0 || status_parse(text, (size_t)n, &st) < 0)
		return refuse(err, ESRCH, NULL, "there is no process %d", task->pid);
	if (task->pid == getpid())
		return refuse(err, EINVAL, NULL, "%d is this program itself", task->pid);
	if ((stat ? stat : &own)->flags & PROC_STAT_KTHREAD)
		return refuse(err, EINVAL, NULL, "%d (%s) is a kernel thread", task->pid, st.name);
	if (st.state == 'Z' && st.threads > 1)
		return refuse(err, ENOTSUP, NULL,
			      "the main thread of %d (%s) has ended while %u others live on, which "
			      "is not supported yet",
			      task->pid, st.name, st.threads - 1);
	if (st.state == 'Z' || st.state == 'X')
		return refuse(err, ESRCH, "its parent has to wait(2) for it",
			      "%d (%s) has ended already: it is a zombie", task->pid, st.name);
	if (st.tracer_pid) {
		cleanup_free char *tracer = name_of(st.tracer_pid);

		refuse(&found, EBUSY, "detach the debugger first",
		       "it is being traced by process %d (%s)", st.tracer_pid,
		       tracer ? tracer : "?");
	}
	filters_foresee(&st, &found);
	refuse_owner(task, &st, &found);
	r = found ? -error_errno(found) : 0;
	error_wrap(&found, 0, "process %d (%s)", task->pid, st.name);
	error_merge(err, &found);
	return r;
}

/* A tree of processes as anybody sees it in /proc: nothing is stopped for this. */
#include "engine/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/stat.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

static int open_proc(pid_t pid)
{
	cleanup_free char *path = str_format("/proc/%d", pid);

	return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static DIR *open_list(int proc, const char *name)
{
	int fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		close_fdp(&fd);
	return dir;
}

static long count_descriptors(int proc)
{
	DIR *dir = open_list(proc, "fd");
	struct dirent *e;
	long n = 0;

	if (!dir)
		return -1;
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void see_memory(struct patient *p, int proc)
{
	cleanup_free char *maps = NULL, *statm = NULL;
	unsigned long long size, resident;
	ssize_t n = fd_slurp(proc, "maps", &maps);

	p->mappings = n < 0 ? -1 : 0;
	for (ssize_t i = 0; i < n; i++)
		p->mappings += maps[i] == '\n';
	if (fd_slurp(proc, "statm", &statm) > 0 && sscanf(statm, "%llu %llu", &size, &resident) == 2)
		p->memory = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- What its restore takes ------------------------------------------------------ */

static bool beyond(int resource, int64_t value)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 && value > 0 && (uint64_t)value > limit.rlim_cur;
}

static void see_thread(struct patient *p, int proc, const char *tid)
{
	cleanup_free char *name = str_format("task/%s/stat", tid), *text = NULL;
	struct proc_stat st;
	ssize_t n = name ? fd_slurp(proc, name, &text) : -ENOMEM;

	if (n < 0 || stat_parse(text, (size_t)n, &st) < 0)
		return;
	if (st.nice < getpriority(PRIO_PROCESS, 0) && beyond(RLIMIT_NICE, 20 - st.nice))
		p->needs[PRIV_LOWER_NICE] = true;
	if ((st.policy == SCHED_FIFO || st.policy == SCHED_RR) &&
	    beyond(RLIMIT_RTPRIO, st.rt_priority))
		p->needs[PRIV_REAL_TIME] = true;
	if (st.policy == SCHED_DEADLINE)
		p->needs[PRIV_DEADLINE] = true;
}

static void see_threads(struct patient *p, int proc)
{
	DIR *dir = open_list(proc, "task");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			see_thread(p, proc, e->d_name);
	closedir(dir);
}

static void see_limits(struct patient *p)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit its, ours;

		/* These two belong to the machine: kind/limits.c. */
		if (i == RLIMIT_NPROC || i == RLIMIT_SIGPENDING)
			continue;
		if (prlimit(p->pid, i, NULL, &its) == 0 && getrlimit(i, &ours) == 0 &&
		    its.rlim_max > ours.rlim_max)
			p->needs[PRIV_RAISE_LIMITS] = true;
	}
}

static int oom_score_of(int proc, const char *name)
{
	cleanup_free char *text = NULL;

	return fd_slurp(proc, name, &text) > 0 ? atoi(text) : 0;
}

static void see_identity(struct patient *p, int proc, const struct proc_status *self)
{
	char root[8];
	ssize_t n = readlinkat(proc, "root", root, sizeof root);

	for (int i = 0; i < 4; i++) {
		if (p->status.uid[i] != self->uid[i])
			p->needs[PRIV_CHANGE_USER] = true;
		if (p->status.gid[i] != self->gid[i])
			p->needs[PRIV_CHANGE_GROUP] = true;
	}
	if (p->status.uid[1] != self->uid[1])
		p->needs[PRIV_OTHER_USERS] = true;
	if (n > 0 && (n != 1 || root[0] != '/'))
		p->needs[PRIV_CHANGE_ROOT] = true;
	if (p->status.seccomp && p->status.seccomp_filters != self->seccomp_filters)
		p->needs[PRIV_FILTERS_READ] = p->needs[PRIV_FILTERS_SUSPEND] = true;
	if (oom_score_of(proc, "oom_score_adj") <
	    oom_score_of(AT_FDCWD, "/proc/self/oom_score_adj"))
		p->needs[PRIV_LOWER_OOM_SCORE] = true;
}

/* ---- The tree -------------------------------------------------------------------- */

static int add_patient(struct ward *w, pid_t pid, const struct proc_status *self,
		       struct error **err)
{
	cleanup_close int proc = open_proc(pid);
	cleanup_free char *text = NULL;
	struct patient *p;
	ssize_t n = proc < 0 ? -ESRCH : fd_slurp(proc, "status", &text);

	if (n < 0)
		return refuse(err, ESRCH, NULL, "there is no process %d", pid);
	p = vec_push(&w->patients);
	if (!p)
		return fail(err, ENOMEM, "out of memory");
	*p = (struct patient){.pid = pid};
	if (status_parse(text, (size_t)n, &p->status) < 0) {
		w->patients.count--;
		return fail(err, EINVAL, "cannot understand the status of process %d", pid);
	}
	p->parent = p->status.ppid;
	p->descriptors = count_descriptors(proc);
	see_memory(p, proc);
	see_threads(p, proc);
	see_limits(p);
	see_identity(p, proc, self);
	return 0;
}

static void add_children(struct ward *w, int proc, const char *tid, const struct proc_status *self)
{
	cleanup_free char *name = str_format("task/%s/children", tid), *text = NULL;
	char *rest, *word;

	if (!name || fd_slurp(proc, name, &text) < 0)
		return;
	/* One that ends meanwhile is no error. */
	for (word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		add_patient(w, (pid_t)atoi(word), self, NULL);
}

static void add_children_of(struct ward *w, pid_t pid, const struct proc_status *self)
{
	cleanup_close int proc = open_proc(pid);
	DIR *dir = proc < 0 ? NULL : open_list(proc, "task");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			add_children(w, proc, e->d_name, self);
	closedir(dir);
}

int ward_gather(struct ward *w, pid_t pid, const struct proc_status *self, struct error **err)
{
	int r = add_patient(w, pid, self, err);

	/* The list grows as it is walked. */
	for (size_t i = 0; r == 0 && i < w->patients.count; i++)
		add_children_of(w, w->patients.items[i].pid, self);
	return r;
}

void ward_free(struct ward *w)
{
	vec_each(p, &w->patients)
		status_free(&p->status);
	vec_free(&w->patients);
}

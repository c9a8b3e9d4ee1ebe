#include "engine/unfinished.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "inject/inject.h"
#include "proc/maps.h"

/* Each process that shares memory with its parent and has no exit signal comes here: hardly any. */
static bool has_region(const struct task *task)
{
	cleanup_close int mem = openat(task->proc, "mem", O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct vm_areas areas cleanup_maps = {0};
	struct leftovers l;
	ssize_t n = task_slurp(task, "maps", &text);

	if (mem < 0 || n < 0 || maps_parse(text, (size_t)n, &areas) < 0)
		return false;
	inject_look(mem, &areas, &l);
	return l.region != 0;
}

bool is_unfinished(const struct task *parent, pid_t child, const struct proc_stat *stat)
{
	if (stat->exit_signal != 0)
		return false;
	/* One that has ended has no memory to compare. */
	if (stat->state != 'Z' && syscall(SYS_kcmp, parent->pid, child, KCMP_VM, 0, 0) != 0)
		return false;
	return has_region(parent);
}

#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define READLINK_MAX (64 * 1024)

int task_open(struct task **ret, pid_t pid, struct error **err)
{
	cleanup_free char *path = str_format("/proc/%d", pid);
	struct task *task = calloc(1, sizeof *task);
	int r;

	if (!task || !path) {
		free(task);
		return fail(err, ENOMEM, "out of memory");
	}
	*task = (struct task){.pid = pid, .pidfd = -1, .proc = -1, .mem = -1};
	/* The directory first: should the pid be reused, its files give ESRCH from then on. */
	task->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (task->proc < 0) {
		r = errno == ENOENT ? fail(err, ESRCH, "there is no process %d", pid)
				    : fail_errno(err, errno, "cannot look at process %d", pid);
		goto out;
	}
	task->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (task->pidfd < 0) {
		r = errno == ENOENT || errno == EINVAL
			    ? fail(err, ESRCH, "%d is a thread, not a process", pid)
			    : fail_errno(err, errno, "cannot get hold of process %d", pid);
		goto out;
	}
	*ret = task;
	return 0;
out:
	task_free(task);
	return r;
}

void task_free(struct task *task)
{
	if (!task)
		return;
	close_fdp(&task->pidfd);
	close_fdp(&task->proc);
	close_fdp(&task->mem);
	maps_free(&task->areas);
	vec_each(t, &task->threads) {
		status_free(&(*t)->status);
		free(*t);
	}
	vec_free(&task->threads);
	vec_free(&task->slots);
	vec_free(&task->locks);
	free(task);
}

void tree_free(struct tree *tree)
{
	vec_each(t, &tree->tasks)
		task_free(*t);
	vec_free(&tree->tasks);
	vec_free(&tree->by_pid);
}

/* Where the pid stands, or would stand. */
static size_t place_of(const struct tree *tree, pid_t pid)
{
	size_t lo = 0, hi = tree->by_pid.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tree->by_pid.items[mid]->pid < pid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct task *tree_find(const struct tree *tree, pid_t pid)
{
	size_t at = place_of(tree, pid);
	struct task *found = at < tree->by_pid.count ? tree->by_pid.items[at] : NULL;

	return found && found->pid == pid ? found : NULL;
}

int tree_add(struct tree *tree, struct task *task)
{
	size_t at = place_of(tree, task->pid);
	struct task **last = vec_push(&tree->tasks);

	if (!last || !vec_push(&tree->by_pid)) {
		tree->tasks.count -= last != NULL;
		task_free(task);
		return -ENOMEM;
	}
	*last = task;
	memmove(&tree->by_pid.items[at + 1], &tree->by_pid.items[at],
		(tree->by_pid.count - 1 - at) * sizeof task);
	tree->by_pid.items[at] = task;
	return 0;
}

void tree_drop(struct tree *tree, struct task *task)
{
	size_t at = place_of(tree, task->pid);

	memmove(&tree->by_pid.items[at], &tree->by_pid.items[at + 1],
		(--tree->by_pid.count - at) * sizeof task);
	for (at = 0; tree->tasks.items[at] != task;)
		at++;
	memmove(&tree->tasks.items[at], &tree->tasks.items[at + 1],
		(--tree->tasks.count - at) * sizeof task);
	task_free(task);
}

struct thread *task_leader(const struct task *task)
{
	return task->threads.items[0];
}

void task_await_stop(int proc)
{
	for (int tries = 0; tries < 2000; tries++) {
		cleanup_free char *text = NULL;
		struct proc_stat stat;
		ssize_t n = fd_slurp(proc, "stat", &text);

		if (n < 0 || stat_parse(text, (size_t)n, &stat) < 0 || stat.state == 'T' ||
		    stat.state == 'Z' || stat.state == 'X')
			return;
		usleep(500);
	}
}

ssize_t task_slurp(const struct task *task, const char *name, char **ret)
{
	return fd_slurp(task->proc, name, ret);
}

ssize_t task_slurp_record(const struct task *task, const char *name, char **ret)
{
	return fd_slurp_record(task->proc, name, ret);
}

static char *readlink_long(const struct task *task, const char *name)
{
	for (size_t room = 2 * PATH_MAX; room <= READLINK_MAX; room *= 2) {
		char *buf = malloc(room);
		ssize_t n;

		if (!buf)
			return NULL;
		n = readlinkat(task->proc, name, buf, room);
		if (n >= 0 && (size_t)n < room) {
			buf[n] = '\0';
			return buf;
		}
		free(buf);
		if (n < 0)
			return NULL;
	}
	errno = ENAMETOOLONG;
	return NULL;
}

char *task_readlink(const struct task *task, const char *name)
{
	char buf[PATH_MAX];
	ssize_t n = readlinkat(task->proc, name, buf, sizeof buf);

	if (n < 0)
		return NULL;
	/* Thousands of them are kept: each only as long as it is. */
	return (size_t)n < sizeof buf ? strndup(buf, (size_t)n) : readlink_long(task, name);
}

int task_read_memory(const struct task *task, uint64_t address, void *buf, size_t size)
{
	ssize_t n = fd_pread(task->mem, buf, size, address);

	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EFAULT;
}

int task_write_memory(const struct task *task, uint64_t address, const void *buf, size_t size)
{
	return fd_pwrite(task->mem, buf, size, address);
}

ssize_t task_peek(const struct task *task, uint64_t address, void *buf, size_t size)
{
	struct iovec local = {buf, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t n = process_vm_readv(task->pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

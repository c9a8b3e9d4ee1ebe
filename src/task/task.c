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
	free(task);
}

void tree_free(struct tree *tree)
{
	vec_each(t, &tree->tasks)
		task_free(*t);
	vec_free(&tree->tasks);
}

struct thread *task_leader(const struct task *task)
{
	return task->threads.items[0];
}

ssize_t task_slurp(const struct task *task, const char *name, char **ret)
{
	return fd_slurp(task->proc, name, ret);
}

char *task_readlink(const struct task *task, const char *name)
{
	for (size_t room = PATH_MAX; room <= READLINK_MAX; room *= 2) {
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

#include "task/description.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static bool in_tree(const struct tree *tree, pid_t pid)
{
	vec_each(t, &tree->tasks)
		if ((*t)->pid == pid)
			return true;
	return false;
}

/* The pid that an entry of /proc stands for, 0: none. */
static pid_t entry_pid(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return *end || pid <= 0 || pid > INT32_MAX ? 0 : (pid_t)pid;
}

static bool holds(int proc, pid_t pid, const char *link, size_t len)
{
	char path[32], target[4096];
	bool found = false;
	struct dirent *e;
	DIR *d;
	int fd;

	snprintf(path, sizeof path, "%d/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return false;
	}
	while (!found && (e = readdir(d)))
		found = readlinkat(fd, e->d_name, target, sizeof target) == (ssize_t)len &&
			!memcmp(target, link, len);
	closedir(d);
	return found;
}

void holder_name(pid_t pid, char ret[17])
{
	char path[32];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	strcpy(ret, "?");
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(ret, 17, f))
		ret[strcspn(ret, "\n")] = '\0';
	fclose(f);
}

bool holder_outside(const struct tree *tree, const char *link, struct holder *ret)
{
	size_t len = strlen(link);
	bool found = false;
	struct dirent *e;
	DIR *d = opendir("/proc");

	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		pid_t pid = entry_pid(e->d_name);

		if (!pid || pid == getpid() || in_tree(tree, pid) ||
		    !holds(dirfd(d), pid, link, len))
			continue;
		found = true;
		ret->pid = pid;
		holder_name(pid, ret->name);
	}
	closedir(d);
	return found;
}

static bool same_access(const struct file *a, const struct file *b)
{
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino &&
	       ((a->flags ^ b->flags) & O_ACCMODE) == 0;
}

int standard_of(const struct capture *c, const struct file *f)
{
	vec_each(task, &c->tree.tasks)
		vec_each(slot, &(*task)->slots) {
			const struct file *at = slot->fd <= 2 ? file_by_id(&c->files, slot->file)
							      : NULL;

			if (at && (at == f || same_access(at, f)))
				return slot->fd;
		}
	return -1;
}

int standard_source(const struct rebuild *r, unsigned int n)
{
	return r->options->standard[n] >= 0 ? r->options->standard[n] : (int)n;
}

static const char *const standard_names[] = {"input", "output", "error output"};

int standard_check(const struct rebuild *r, unsigned int n, uint32_t flags, struct error **err)
{
	static const char *const options[] = {
		"give one with --stdin", "give one with --stdout", "give one with --stderr",
	};
	int wanted = (int)flags & O_ACCMODE;
	int have = fcntl(standard_source(r, n), F_GETFL);

	if (have < 0)
		return refuse(err, EBADF, options[n],
			      "the program's standard %s came from outside, and this restore has none",
			      standard_names[n]);
	have &= O_ACCMODE;
	if (have != O_RDWR && have != wanted)
		return refuse(err, EBADF, options[n], "standard %s is not open for %s",
			      standard_names[n], wanted == O_RDONLY ? "reading" : "writing");
	return 0;
}

int standard_open(const struct rebuild *r, unsigned int n, uint32_t flags, struct error **err)
{
	int fd = fcntl(standard_source(r, n), F_DUPFD_CLOEXEC, 3);
	int k;

	if (fd < 0)
		return fail_errno(err, errno, "standard %s", standard_names[n]);
	k = description_set_status(fd, flags, O_NONBLOCK, err);
	if (k < 0) {
		close(fd);
		return k;
	}
	return fd;
}

int description_set_status(int fd, uint32_t flags, uint32_t mask, struct error **err)
{
	int old = fcntl(fd, F_GETFL);
	int new = (int)(((uint32_t)old & ~mask) | (flags & mask));

	if (old < 0 || (new != old && fcntl(fd, F_SETFL, new) < 0))
		return fail_errno(err, errno, "cannot set the status flags of a descriptor");
	return 0;
}

int description_reopen(int fd, int flags)
{
	char path[32];
	int new;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	new = open(path, flags | O_CLOEXEC);
	return new < 0 ? -errno : new;
}

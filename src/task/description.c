#include "task/description.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

/* The pid that an entry of /proc stands for, 0: none. */
static pid_t entry_pid(const char *name)
{
	char *end;
	long pid = strtol(name, &end, 10);

	return *end || pid <= 0 || pid > INT32_MAX ? 0 : (pid_t)pid;
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

/* In c->shared, pipes and sockets with the pid of a holder, and {0, 0} once they are known. */
#define HOLDERS SPACE_HOLDERS

static bool is_held(const struct file *f)
{
	return S_ISFIFO(f->st.st_mode) || S_ISSOCK(f->st.st_mode);
}

/* What others may hold of ours, in the order of its links. */
struct held {
	VEC(const struct file *) list;
};

static int compare_links(const void *x, const void *y)
{
	const struct file *a = *(const struct file *const *)x, *b = *(const struct file *const *)y;

	return strcmp(a->link, b->link);
}

static void list_held(const struct capture *c, struct held *ret)
{
	vec_each(f, &c->files.files) {
		const struct file **slot = is_held(*f) && (*f)->link ? vec_push(&ret->list) : NULL;

		if (slot)
			*slot = *f;
	}
	if (ret->list.count)
		qsort(ret->list.items, ret->list.count, sizeof *ret->list.items, compare_links);
}

static void note_holder(struct capture *c, const struct held *held, char *link, pid_t pid)
{
	const struct file wanted = {.link = link}, *key = &wanted;
	const struct file **found = held->list.count
					    ? bsearch(&key, held->list.items, held->list.count,
						      sizeof key, compare_links)
					    : NULL;

	if (found)
		capture_share(c, HOLDERS, (*found)->st.st_ino, (*found)->st.st_dev, (uint32_t)pid);
}

/* Notes all that pid holds of ours, or returns whether it holds what has the name wanted. */
static bool look_into(struct capture *c, const struct held *held, int proc, pid_t pid,
		      const char *wanted)
{
	char path[32], link[4096];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	snprintf(path, sizeof path, "%d/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fdp(&fd);
		return false;
	}
	while (!found && (e = readdir(d))) {
		ssize_t len = readlinkat(fd, e->d_name, link, sizeof link - 1);

		if (len <= 0 || (link[0] != 'p' && link[0] != 's' && link[0] != '/'))
			continue;
		link[len] = '\0';
		if (wanted)
			found = !strcmp(link, wanted);
		else
			note_holder(c, held, link, pid);
	}
	closedir(d);
	return found;
}

/* All processes outside the tree; returns the first that has what is wanted. */
static pid_t find_holders(struct capture *c, const char *wanted)
{
	struct held held = {0};
	pid_t found = 0;
	struct dirent *e;
	DIR *d = opendir("/proc");

	if (!wanted)
		list_held(c, &held);
	while (d && !found && (e = readdir(d))) {
		pid_t pid = entry_pid(e->d_name);

		if (pid && pid != getpid() && !tree_find(&c->tree, pid) &&
		    look_into(c, &held, dirfd(d), pid, wanted))
			found = pid;
	}
	if (d)
		closedir(d);
	vec_free(&held.list);
	return found;
}

bool holder_outside(struct capture *c, const struct file *f, struct holder *ret)
{
	if (!capture_shared(c, HOLDERS, 0, 0)) {
		capture_share(c, HOLDERS, 0, 0, 1);
		find_holders(c, NULL);
	}
	ret->pid = (pid_t)capture_shared(c, HOLDERS, f->st.st_ino, f->st.st_dev);
	if (!ret->pid)
		return false;
	holder_name(ret->pid, ret->name);
	return true;
}

bool holder_of_socket(struct capture *c, uint32_t inode, struct holder *ret)
{
	char link[32];

	snprintf(link, sizeof link, "socket:[%u]", inode);
	ret->pid = find_holders(c, link);
	if (ret->pid)
		holder_name(ret->pid, ret->name);
	return ret->pid != 0;
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
			const struct file *at = file_by_id(&c->files, slot->file);

			/* They are in order. */
			if (slot->fd > 2)
				break;
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

/* The root's descriptors have their numbers alone, those of others the process before them. */
int hole_check(const struct rebuild *r, uint32_t file, struct error **err)
{
	vec_each(t, &r->tasks)
		for (size_t i = 0; i < (*t)->record->n_slots; i++) {
			const Rec__Slot *s = (*t)->record->slots[i];
			bool root = t == r->tasks.items;
			cleanup_free char *which = root ? str_format("%u", s->fd)
							: str_format("%u:%u", (*t)->record->pid, s->fd);
			cleanup_free char *mend = str_format("give a file or a descriptor for it: "
							     "--inherit %s=...", which);

			if (s->file == file)
				return refuse(err, EBADF, mend,
					      "descriptor %u of process %u came from outside, and has "
					      "to be given", s->fd, (*t)->record->pid);
		}
	return refuse(err, EBADF, NULL, "a description that came from outside is in no table, and "
					"nothing can be given for it");
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

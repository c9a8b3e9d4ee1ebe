#include "task/watched.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc/mountinfo.h"

/* Entries that one walk looks at: some tens of milliseconds at most. */
#define WALK_ENTRIES 20000u

struct search {
	const struct fd_inotify_watch *watch;
	int root;  /* the task's root directory */
	int probe; /* an inotify of ours */
	char *found;
};

static const char *below_root(const char *path)
{
	return path[1] ? path + 1 : ".";
}

/* What the kernel shows of a watch of ours on path is what it shows of theirs. */
static bool probe(const struct search *s, const char *path)
{
	cleanup_close int fd = openat(s->root, below_root(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_free char *link = str_format("/proc/self/fd/%d", fd);
	cleanup_free char *own = str_format("/proc/self/fdinfo/%d", s->probe), *text = NULL;
	cleanup_fdinfo struct fdinfo info = {0};
	const struct fd_inotify_watch *ours;
	ssize_t n;
	int wd;

	if (fd < 0 || !link || !own)
		return false;
	wd = inotify_add_watch(s->probe, link, IN_ATTRIB);
	if (wd < 0)
		return false;
	n = fd_slurp(AT_FDCWD, own, &text);
	if (n >= 0)
		n = fdinfo_parse(text, (size_t)n, &info);
	inotify_rm_watch(s->probe, wd);
	if (n < 0 || info.inotify.count != 1)
		return false;
	ours = info.inotify.items;
	return ours->inode == s->watch->inode && ours->dev_major == s->watch->dev_major &&
	       ours->dev_minor == s->watch->dev_minor;
}

static bool consider(struct search *s, const char *path)
{
	struct stat st;

	if (s->found || path[0] != '/' ||
	    fstatat(s->root, below_root(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return s->found;
	/* Where the device has no number of its own stat(2) may show another inode (overlay). */
	if (st.st_ino != s->watch->inode && s->watch->dev_major)
		return false;
	if (probe(s, path))
		s->found = strdup(path);
	return s->found;
}

/* The path and all directories above it. */
static bool consider_upwards(struct search *s, const char *path)
{
	cleanup_free char *copy = strdup(path);
	char *slash;

	if (!copy || copy[0] != '/')
		return false;
	while (!consider(s, copy) && (slash = strrchr(copy, '/')) && slash[1])
		slash[slash == copy] = '\0';
	return s->found;
}

/* What the task itself has open, mapped, or stands in. */
static bool search_near(struct search *s, const struct capture *c, const struct task *task,
			const char *cwd)
{
	const char *last = "";

	if (cwd && consider_upwards(s, cwd))
		return true;
	vec_each(f, &c->files.files)
		if ((*f)->link && !(*f)->deleted && consider_upwards(s, (*f)->link))
			return true;
	vec_each(a, &task->areas.list) {
		if (!a->path || a->deleted || !strcmp(a->path, last))
			continue;
		last = a->path;
		if (consider_upwards(s, last))
			return true;
	}
	return false;
}

struct walk {
	struct search *search;
	VEC(char *) queue; /* directories; the walk is breadth-first */
	dev_t dev;
	unsigned int entries;
};

static void visit(struct walk *w, const char *dir, const struct dirent *e)
{
	cleanup_free char *path = NULL;
	char **slot;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return;
	if (e->d_ino != w->search->watch->inode && e->d_type != DT_DIR)
		return;
	path = str_format("%s/%s", dir[1] ? dir : "", e->d_name);
	if (!path)
		return;
	if (e->d_ino == w->search->watch->inode && consider(w->search, path))
		return;
	slot = e->d_type == DT_DIR ? vec_push(&w->queue) : NULL;
	if (slot)
		*slot = strdup(path);
}

static void visit_directory(struct walk *w, const char *path)
{
	int fd = openat(w->search->root, below_root(path),
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;
	struct dirent *e;

	if (!dir) {
		close_fdp(&fd);
		return;
	}
	if (fstat(fd, &st) == 0 && (!w->dev || st.st_dev == w->dev)) {
		w->dev = st.st_dev;
		while (!w->search->found && w->entries < WALK_ENTRIES && (e = readdir(dir))) {
			w->entries++;
			visit(w, path, e);
		}
	}
	closedir(dir);
}

/* Downwards, on one file system. */
static bool search_below(struct search *s, const char *start)
{
	struct walk w = {.search = s};
	char **first = vec_push(&w.queue);

	if (first)
		*first = strdup(start);
	if (start[0] == '/' && first && *first && !consider(s, start))
		for (size_t i = 0; i < w.queue.count && !s->found && w.entries < WALK_ENTRIES; i++)
			if (w.queue.items[i])
				visit_directory(&w, w.queue.items[i]);
	vec_each(path, &w.queue)
		free(*path);
	vec_free(&w.queue);
	return s->found;
}

/* The value of HOME in the environment that the program was started with. */
static char *home(const struct task *task)
{
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp(task, "environ", &text);

	for (char *p = text; n > 0 && p < text + n; p += strlen(p) + 1)
		if (str_starts(p, "HOME="))
			return strdup(p + 5);
	return NULL;
}

static bool search_mounts(struct search *s, const struct task *task)
{
	cleanup_mountinfo struct mount_table mounts = {0};
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp(task, "mountinfo", &text);

	if (n < 0 || mountinfo_parse(text, (size_t)n, &mounts) < 0)
		return false;
	vec_each(m, &mounts.list)
		if (m->dev_major == s->watch->dev_major && m->dev_minor == s->watch->dev_minor &&
		    search_below(s, m->point))
			return true;
	return false;
}

char *watched_path(const struct capture *c, const struct task *task,
		   const struct fd_inotify_watch *w)
{
	cleanup_close int root = openat(task->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int own = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	cleanup_free char *cwd = task_readlink(task, "cwd");
	cleanup_free char *house = home(task);
	struct search s = {w, root, own, NULL};

	if (root < 0 || own < 0)
		return NULL;
	if (!search_near(&s, c, task, cwd) && !(cwd && search_below(&s, cwd)) &&
	    !(house && search_below(&s, house)))
		search_mounts(&s, task);
	return s.found;
}

#include "task/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

/* The kernel has given these numbers away for good (Documentation/admin-guide/devices.txt). */
#define SLAVE_MAJOR  136
#define MULTIPLEXER  makedev(5, 2)
#define OWN_TERMINAL makedev(5, 0)

int terminal_of_master(int fd)
{
	unsigned int number;

	return ioctl(fd, TIOCGPTN, &number) == 0 && number <= INT32_MAX ? (int)number : -1;
}

int terminal_of_slave(int fd, const struct stat *st)
{
	unsigned int device;

	if (!S_ISCHR(st->st_mode) || st->st_rdev == MULTIPLEXER)
		return -1;
	if (major(st->st_rdev) == SLAVE_MAJOR)
		return (int)minor(st->st_rdev);
	if (st->st_rdev != OWN_TERMINAL || ioctl(fd, TIOCGDEV, &device) < 0)
		return -1;
	return major(device) == SLAVE_MAJOR ? (int)minor(device) : -1;
}

int terminal_of_task(const struct task *task)
{
	int tty = task->stat.tty_nr;

	return tty && stat_tty_major(tty) == SLAVE_MAJOR ? (int)stat_tty_minor(tty) : -1;
}

struct file *terminal_master(const struct capture *c, int number)
{
	vec_each(it, &c->files.files) {
		struct file *f = *it;

		if (f->own >= 0 && S_ISCHR(f->st.st_mode) && f->st.st_rdev == MULTIPLEXER &&
		    terminal_of_master(f->own) == number)
			return f;
	}
	return NULL;
}

struct file *terminal_slave(const struct capture *c, int number, int mode)
{
	vec_each(it, &c->files.files) {
		struct file *f = *it;
		int have = f->flags & (O_ACCMODE | O_PATH);

		if (f->own >= 0 && (have == O_RDWR || have == mode) &&
		    terminal_of_slave(f->own, &f->st) == number)
			return f;
	}
	return NULL;
}

uint32_t terminal_to_lead(const struct capture *c, const struct task *task)
{
	int number = task->stat.session == task->stat.pid ? terminal_of_task(task) : -1;
	const struct file *master = number < 0 ? NULL : terminal_master(c, number);

	return master ? master->id : 0;
}

/* ---- Who else has one ---- */

/* In c->shared, terminals by number with the pid of a holder. */
#define HOLDERS SPACE_TERMINAL_HOLDERS
/* There once they are known. */
#define HOLDERS_KNOWN UINT64_MAX

static void note_slave(struct capture *c, int dir, const char *name, pid_t pid)
{
	const struct file *ours;
	struct stat st;
	int number = fstatat(dir, name, &st, 0) == 0 ? terminal_of_slave(-1, &st) : -1;

	if (number < 0)
		return;
	/* There may be several instances of devpts. */
	ours = terminal_slave(c, number, O_RDONLY);
	if (!ours || ours->st.st_rdev == OWN_TERMINAL || ours->st.st_dev == st.st_dev)
		capture_share(c, HOLDERS, (uint64_t)number, 0, (uint32_t)pid);
}

/* All masters have one name: they are told by their descriptions. */
static void note_master(struct capture *c, const char *name, pid_t pid)
{
	int fd = atoi(name);

	vec_each(it, &c->files.files) {
		const struct file *f = *it;

		if (f->own < 0 || !S_ISCHR(f->st.st_mode) || f->st.st_rdev != MULTIPLEXER ||
		    syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, f->own, fd) != 0)
			continue;
		capture_share(c, HOLDERS, (uint64_t)terminal_of_master(f->own), 0, (uint32_t)pid);
	}
}

static void look_into(struct capture *c, int proc, pid_t pid)
{
	cleanup_free char *path = str_format("%d/fd", pid);
	int fd = path ? openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		close_fdp(&fd);
		return;
	}
	while ((e = readdir(d))) {
		char link[64];
		ssize_t len = readlinkat(fd, e->d_name, link, sizeof link - 1);

		if (len <= 0)
			continue;
		link[len] = '\0';
		if (str_ends(link, "/ptmx"))
			note_master(c, e->d_name, pid);
		else if (str_starts(link, "/dev/"))
			note_slave(c, fd, e->d_name, pid);
	}
	closedir(d);
}

static void find_holders(struct capture *c)
{
	struct dirent *e;
	DIR *d = opendir("/proc");

	while (d && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && pid != getpid() && !tree_find(&c->tree, pid))
			look_into(c, dirfd(d), pid);
	}
	if (d)
		closedir(d);
}

bool terminal_outside(struct capture *c, int number, struct holder *ret)
{
	bool known = false;

	vec_each(s, &c->shared)
		known = known || (s->space == HOLDERS && s->key[0] == HOLDERS_KNOWN);
	if (!known) {
		capture_share(c, HOLDERS, HOLDERS_KNOWN, 0, 1);
		find_holders(c);
	}
	vec_each(s, &c->shared) {
		if (s->space != HOLDERS || s->key[0] != (uint64_t)number)
			continue;
		ret->pid = (pid_t)s->owner;
		holder_name(ret->pid, ret->name);
		return true;
	}
	return false;
}

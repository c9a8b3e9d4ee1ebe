/*
 * Files of /proc, /sys and other file systems whose content the kernel makes
 * up: opened anew, they tell of what is then.
 *
 * /proc/PID of the program itself is a case of its own.  The tool would open
 * its own, or that of a process that does not exist yet; so the program's
 * record says "/proc/self", and the program's own process opens it, last of all.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kind/kind.h"
#include "task/path.h"

extern const struct kind kind_generated;

#define SELF "/proc/self"
#define TASK "/task/"

static bool generated_claims(const struct file *f)
{
	mode_t type = f->st.st_mode & S_IFMT;

	return (type == S_IFREG || type == S_IFDIR || type == S_IFLNK) && f->own >= 0 &&
	       path_fs_class(f->own) == FS_GENERATED;
}

/* text begins with prefix and a number; *ret_rest is what follows. */
static bool number_after(const char *text, const char *prefix, unsigned long *ret,
			 const char **ret_rest)
{
	char *end;

	if (!str_starts(text, prefix) || !isdigit((unsigned char)text[strlen(prefix)]))
		return false;
	*ret = strtoul(text + strlen(prefix), &end, 10);
	*ret_rest = end;
	return *end == '\0' || *end == '/';
}

/* The numbers in this file's path are those that the tool sees (and not those of another /proc). */
static bool same_procfs(const struct file *f)
{
	struct stat st;

	return stat("/proc", &st) == 0 && st.st_dev == f->st.st_dev;
}

/* The record's form of /proc/PID/REST: the tid in REST becomes the program's number for it. */
static int own_path(const struct file *f, const char *rest, char **ret, struct error **err)
{
	bool outside = same_procfs(f);
	unsigned long tid;
	const char *file;
	pid_t known = 0;

	if (!number_after(rest, TASK, &tid, &file)) {
		*ret = str_format(SELF "%s", rest);
		return *ret ? 0 : fail(err, ENOMEM, "out of memory");
	}
	vec_each(t, &f->task->threads)
		if ((unsigned long)(outside ? (*t)->tid : (*t)->ns_tid) == tid)
			known = (*t)->ns_tid;
	if (!known)
		return refuse(err, ESRCH, "close it", "the thread that it tells of has ended");
	*ret = str_format(SELF TASK "%d%s", known, file);
	return *ret ? 0 : fail(err, ENOMEM, "out of memory");
}

static bool shared_with_others(const struct capture *c, const struct file *f)
{
	vec_each(t, &c->tree.tasks) {
		if (*t == f->task)
			continue;
		vec_each(s, &(*t)->slots)
			if (s->file == f->id)
				return true;
	}
	return false;
}

static int generated_fill(struct capture *c, struct file *f, Rec__Generated *m, struct error **err)
{
	unsigned long pid;
	const char *rest;

	if (!number_after(f->link, "/proc/", &pid, &rest)) {
		if (!path_names(f->link, &f->st))
			return refuse(err, ENOENT, "close it",
				      "what it tells of is not there any more, "
				      "or is in a place that cannot be seen from here");
		m->path = strdup(f->link);
		return m->path ? 0 : fail(err, ENOMEM, "out of memory");
	}
	if (pid != (unsigned long)(same_procfs(f) ? f->task->pid : f->task->ns_pid))
		return refuse(err, ENOTSUP, "close it",
			      "it tells of process %lu, which is not the program", pid);
	if (f->deleted)
		return refuse(err, ESRCH, "close it", "what it tells of has ended");
	if (shared_with_others(c, f))
		return refuse(err, ENOTSUP, "close it in all but one of them",
			      "it tells of one process and several processes share it");
	return own_path(f, rest, &m->path, err);
}

static int generated_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			     struct error **err)
{
	Rec__Generated *m = kind_message(&kind_generated);
	cleanup_error struct error *found = NULL;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, generated_fill(c, f, m, &found), &m->base, ret, &found, err);
}

/* It is opened by the task itself. */
static bool is_own(const Rec__Generated *m)
{
	return !strcmp(m->path, SELF) ? !S_ISLNK(m->file->mode) : str_starts(m->path, SELF "/");
}

static int generated_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Generated *m = (const Rec__Generated *)base;
	int r = path_validate_file(m->file, 0, err);

	if (r < 0)
		return r;
	if (!path_valid(m->path))
		return refuse(err, EINVAL, NULL, "file %u of the image has no usable path",
			      m->file->id);
	return 0;
}

static int generated_check(const struct rebuild *r, const ProtobufCMessage *base,
			   struct error **err)
{
	const Rec__Generated *m = (const Rec__Generated *)base;

	return is_own(m) ? 0 : path_check(r, m->file, m->path, NULL, err);
}

static int generated_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Generated *m = (const Rec__Generated *)f->message;
	cleanup_close int fd = -1;

	(void)r;
	if (is_own(m)) {
		/* Keeps the numbers until the task opens the real one. */
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return fail_errno(err, errno, "cannot open /dev/null");
		return fd_steal(&fd);
	}
	/* A private /proc covers what is mounted below ours: the task tries its own at the end. */
	fd = path_reopen(AT_FDCWD, m->path, m->file, err);
	if (fd < 0)
		return fd;
	if (path_fs_class(fd) != FS_GENERATED)
		return fail(err, ENOENT, "%s is an ordinary file now", m->path);
	return fd_steal(&fd);
}

/* The path with the number that its thread has now. */
static char *current_path(const struct rebuild *r, const Rec__Generated *m)
{
	const char *rest;
	unsigned long tid;

	if (number_after(m->path, SELF TASK, &tid, &rest))
		return str_format(SELF TASK "%d%s", rebuilt_number(r, (pid_t)tid), rest);
	return strdup(m->path);
}

static int generated_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *base,
			    int fd, struct batch *b, struct error **err)
{
	const Rec__Generated *m = (const Rec__Generated *)base;
	cleanup_free char *path = NULL;

	(void)fd;
	if (!is_own(m)) {
		/* In a private namespace it may tell of another one; where it is not, ours stays. */
		if (r->private_pids)
			path_open_in_task(t, m->file, m->path,
					  RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
					  BATCH_MAY_FAIL, b);
		return 0;
	}
	path = current_path(r, m);
	if (!path)
		return fail(err, ENOMEM, "out of memory");
	/* "self" is a link, and has to be followed. */
	path_open_in_task(t, m->file, path, 0, 0, b);
	return 0;
}

const struct kind kind_generated = {
	.name = "generated file",
	.tag = 130,
	.schema = &rec__generated__descriptor,
	.file = &(const struct file_ops){
		.claims = generated_claims,
		.capture = generated_capture,
		.validate = generated_validate,
		.check = generated_check,
		.open = generated_open,
		.settle = generated_settle,
	},
};

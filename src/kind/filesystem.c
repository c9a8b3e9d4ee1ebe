/* Where a process stands in the file system: working directory, root directory, umask. */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"
#include "task/path.h"

extern const struct kind kind_filesystem;

/* A directory that /proc/PID/LINK shows: a path that leads to it from here. */
static int capture_directory(const struct task *task, const char *link, const char *what,
			     char **ret, struct error **err)
{
	cleanup_free char *path = task_readlink(task, link);
	struct stat st;

	if (!path || fstatat(task->proc, link, &st, 0) < 0)
		return fail_errno(err, errno, "cannot see the %s of process %d", what, task->pid);
	if (path[0] == '/' && path_names(path, &st)) {
		if (!path_valid(path))
			return refuse(err, ENAMETOOLONG, NULL, "the path of the %s of process %d is "
				      "too long", what, task->pid);
		*ret = path;
		path = NULL;
		return 0;
	}
	if (str_ends(path, " (deleted)"))
		return refuse(err, ENOENT, "change it to one that exists",
			      "the %s of process %d was removed: %.*s", what, task->pid,
			      (int)(strlen(path) - strlen(" (deleted)")), path);
	return refuse(err, ENOENT, NULL, "the %s of process %d (%s) cannot be reached by that name "
		      "from here: it is hidden by a mount, or in another mount namespace", what,
		      task->pid, path);
}

static int filesystem_capture(struct capture *c, const struct thread *t, const struct batch *b,
			      const struct asked *asked, ProtobufCMessage **ret,
			      struct error **err)
{
	Rec__FileSystem *m;
	char *cwd = NULL, *root = NULL;
	int r, also;

	(void)c, (void)b, (void)asked;
	/* The record of who has it tells. */
	if (t->task->fs_of)
		return 0;
	m = kind_message(&kind_filesystem);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	m->umask = t->status.umask;
	r = capture_directory(t->task, "cwd", "working directory", &cwd, err);
	also = capture_directory(t->task, "root", "root directory", &root, err);
	/* Their initial value is a constant, and not to be freed. */
	if (cwd)
		m->cwd = cwd;
	if (root)
		m->root = root;
	r = r < 0 ? r : also;
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

static int filesystem_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__FileSystem *m = (const Rec__FileSystem *)message;

	if (!path_valid(m->cwd) || !path_valid(m->root))
		return fail(err, EINVAL, "a directory with no absolute path");
	if (m->umask & ~0777u)
		return fail(err, EINVAL, "an impossible umask: 0%o", m->umask);
	return 0;
}

static int check_directory(const char *path, const char *what, struct error **err)
{
	cleanup_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return refuse(err, errno, "make it again, or put it back",
			      "the program's %s %s: %s", what, path, strerror(errno));
	if (faccessat(fd, ".", X_OK, AT_EACCESS) < 0)
		return refuse(err, errno, NULL, "the program's %s %s may not be entered: %s", what,
			      path, strerror(errno));
	return 0;
}

static int filesystem_check(const struct rebuild *r, const ProtobufCMessage *message,
			    struct error **err)
{
	const Rec__FileSystem *m = (const Rec__FileSystem *)message;
	int result = check_directory(m->cwd, "working directory", err);

	(void)r;
	if (!strcmp(m->root, "/"))
		return result;
	if (!priv_can(PRIV_CHANGE_ROOT))
		return refuse(err, EPERM, "restore it as root",
			      "the program's root directory is %s, and only root may change it",
			      m->root);
	return check_directory(m->root, "root directory", err) < 0 ? -ENOENT : result;
}

static int filesystem_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			      const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__FileSystem *m = (const Rec__FileSystem *)message;

	(void)r, (void)err;
	if (!m || t->task->fs_of)
		return 0;
	batch_call(b, 0, SYS_chdir, batch_put_string(b, m->cwd));
	/* After that: both paths are the tool's, and the working directory may be outside. */
	if (strcmp(m->root, "/") != 0)
		batch_call(b, 0, SYS_chroot, batch_put_string(b, m->root));
	batch_call(b, 0, SYS_umask, m->umask);
	return 0;
}

const struct kind kind_filesystem = {
	.name = "filesystem",
	.tag = 69,
	.schema = &rec__file_system__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_LATE, /* other kinds' paths begin at our root */
		.capture = filesystem_capture,
		.validate = filesystem_validate,
		.check = filesystem_check,
		.rebuild = filesystem_rebuild,
	},
};

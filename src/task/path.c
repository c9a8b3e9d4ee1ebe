#include "task/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"

/* The C library hides it from 64-bit programs, openat2(2) wants it said. */
#define KERNEL_O_LARGEFILE 0100000

/* The bit of O_TMPFILE that O_DIRECTORY does not have. */
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* What F_GETFL may show. */
#define KNOWN_FLAGS                                                                              \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_ASYNC | O_DIRECT |              \
	 KERNEL_O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_PATH | TMPFILE_BIT)

/* What open(2) is given: nothing that makes or empties a file. */
#define OPEN_FLAGS  (KNOWN_FLAGS & ~(O_ASYNC | TMPFILE_BIT))
#define PATH_FLAGS  (O_PATH | O_DIRECTORY | O_NOFOLLOW)

/* Numbers of <linux/magic.h> that older headers lack. */
#define MAGIC_MQUEUE   0x19800202
#define MAGIC_CONFIGFS 0x62656570
#define MAGIC_PIDFS    0x50494446

/* How many entries of a directory are looked at for another name of an inode. */
#define DIRECTORY_MAX 65536

enum fs_class path_fs_class(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return FS_OBJECTS;
	switch ((unsigned long)fs.f_type) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case SELINUX_MAGIC:
	case SMACK_MAGIC:
	case EFIVARFS_MAGIC:
	case PSTOREFS_MAGIC:
	case BINFMTFS_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
	case MAGIC_CONFIGFS:
		return FS_GENERATED;
	case NSFS_MAGIC:
	case MAGIC_MQUEUE:
	case MAGIC_PIDFS:
	case BPF_FS_MAGIC:
	case ANON_INODE_FS_MAGIC:
	case PIPEFS_MAGIC:
	case SOCKFS_MAGIC:
	case DMA_BUF_MAGIC:
	case SECRETMEM_MAGIC:
		return FS_OBJECTS;
	default:
		return FS_STORAGE;
	}
}

bool path_valid(const char *path)
{
	return path && path[0] == '/' && strlen(path) < PATH_MAX;
}

int path_open(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC),
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	if (root != AT_FDCWD)
		how.resolve |= RESOLVE_IN_ROOT;
	if (!(flags & O_PATH))
		how.flags |= KERNEL_O_LARGEFILE | O_NOCTTY;
	do
		fd = syscall(SYS_openat2, root, path, &how, sizeof how);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN) && !(flags & O_NONBLOCK));
	return fd < 0 ? -errno : (int)fd;
}

bool path_names(const char *path, const struct stat *st)
{
	cleanup_close int fd = path_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW);
	struct stat now;

	return fd >= 0 && fstat(fd, &now) == 0 && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino;
}

char *path_find_inode(const char *directory, const struct stat *st)
{
	char *found = NULL;
	struct dirent *e;
	int fd = path_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		close_fdp(&fd);
		return NULL;
	}
	for (int i = 0; !found && i < DIRECTORY_MAX && (e = readdir(dir)); i++) {
		struct stat now;

		/* Not by d_ino: some file systems show another number there. */
		if (e->d_type != DT_UNKNOWN && e->d_type != IFTODT(st->st_mode))
			continue;
		if (fstatat(dirfd(dir), e->d_name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		    now.st_dev == st->st_dev && now.st_ino == st->st_ino)
			found = str_format("%s/%s", strcmp(directory, "/") ? directory : "",
					   e->d_name);
	}
	closedir(dir);
	return found;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return NULL;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int path_validate_file(const Rec__File *file, mode_t type, struct error **err)
{
	if (!file || !file->id)
		return refuse(err, EINVAL, NULL, "the record of an open file has no id");
	if (file->flags & ~(uint32_t)KNOWN_FLAGS)
		return refuse(err, EINVAL, NULL, "file %u of the image has unknown flags 0%o",
			      file->id, file->flags);
	if (file->position > INT64_MAX)
		return refuse(err, EINVAL, NULL, "file %u of the image has an impossible position",
			      file->id);
	if (type && (file->mode & S_IFMT) != type)
		return refuse(err, EINVAL, NULL, "file %u of the image has a wrong type 0%o",
			      file->id, file->mode);
	return 0;
}

int path_captured(const struct file *f, int r, ProtobufCMessage *m, ProtobufCMessage **ret,
		  struct error **found, struct error **err)
{
	cleanup_free char *what = NULL;

	if (r >= 0) {
		*ret = m;
		return 0;
	}
	protobuf_c_message_free_unpacked(m, NULL);
	what = file_describe(f);
	error_wrap(found, r, "%s", what ? what : f->link);
	error_merge(err, found);
	return r;
}

char *path_role(const struct rebuild *r, uint32_t id)
{
	const char *who = "the program";
	cleanup_free char *process = NULL;

	vec_each(t, &r->tasks) {
		const Rec__Task *task = (*t)->record;

		if (r->tasks.count > 1) {
			free(process);
			who = process = str_format("process %u", task->pid);
		}
		if (task->executable == id)
			return str_format("the executable of %s", who);
		for (size_t i = 0; i < task->n_slots; i++)
			if (task->slots[i]->file == id)
				return str_format("descriptor %u of %s", task->slots[i]->fd, who);
	}
	return strdup("mapped by the program");
}

static const char *type_words(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFIFO:
		return "a named pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFLNK:
		return "a symbolic link";
	default:
		return "a file";
	}
}

static int refuse_path(const struct rebuild *r, const Rec__File *file, const char *path,
		       int errnum, struct error **err)
{
	cleanup_free char *role = path_role(r, file->id);

	if (!role)
		return fail(err, ENOMEM, "out of memory");
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return refuse(err, errnum, "put it back as it was at the checkpoint",
			      "%s (%s) does not exist any more", path, role);
	case ELOOP:
		return refuse(err, errnum, "put back what the link has replaced",
			      "a part of the path %s (%s) is a symbolic link now", path, role);
	case EACCES:
	case EPERM:
		return refuse(err, errnum, "restore as the user who owned the program",
			      "there is no permission to reach %s (%s)", path, role);
	case EMEDIUMTYPE: /* ours: nothing that opens a path says so */
		return refuse(err, EINVAL, "put it back as it was at the checkpoint",
			      "%s (%s) is not %s any more", path, role, type_words(file->mode));
	default:
		return refuse(err, errnum, NULL, "%s (%s) cannot be opened: %s", path, role,
			      strerror(errnum));
	}
}

/* Its mode may forbid what its owner may do: open_lent(). */
static bool is_lendable(const struct stat *st)
{
	return S_ISREG(st->st_mode) && priv_owns(st->st_uid);
}

/* 0, or -errno with what is lacking. */
static int check_access(int fd, const struct stat *st, const Rec__File *file,
			const char **ret_lacking)
{
	int mode = file->flags & O_ACCMODE, errnum = 0;

	if (file->flags & O_PATH)
		return 0;
	if (mode != O_WRONLY && faccessat(fd, "", R_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) {
		errnum = errno;
		*ret_lacking = "read";
	} else if (mode != O_RDONLY && faccessat(fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) {
		errnum = errno;
		*ret_lacking = "write";
	}
	return errnum == EACCES && is_lendable(st) ? 0 : -errnum;
}

int path_check(const struct rebuild *r, const Rec__File *file, const char *path,
	       struct stat *ret_st, struct error **err)
{
	cleanup_close int fd = path_open(AT_FDCWD, path, O_PATH | O_NOFOLLOW);
	cleanup_free char *role = NULL;
	const char *lacking = NULL;
	struct stat st;
	int n;

	if (fd < 0)
		return refuse_path(r, file, path, -fd, err);
	if (fstat(fd, &st) < 0)
		return refuse_path(r, file, path, errno, err);
	if ((st.st_mode & S_IFMT) != (file->mode & S_IFMT))
		return refuse_path(r, file, path, EMEDIUMTYPE, err);
	n = check_access(fd, &st, file, &lacking);
	if (n < 0) {
		role = path_role(r, file->id);
		return refuse(err, -n, "restore as the user who owned the program",
			      "there is no permission to %s %s (%s): %s", lacking, path,
			      role ? role : "a file of the program", strerror(-n));
	}
	if (ret_st)
		*ret_st = st;
	return 0;
}

static int open_flags(const Rec__File *file)
{
	int flags = (int)file->flags & OPEN_FLAGS;

	if (flags & O_PATH)
		return flags & PATH_FLAGS;
	/* O_TMPFILE includes it: such a file that was given a name later is no directory. */
	if (file->flags & TMPFILE_BIT)
		flags &= ~O_DIRECTORY;
	return flags;
}

/* What open(2) was not told, or must not have been told. */
static int settle_description(int fd, const Rec__File *file, struct error **err)
{
	if (file->flags & O_PATH)
		return 0;
	/* Opened with O_NONBLOCK, lest a named pipe put there would make the tool wait. */
	if (!(file->flags & O_NONBLOCK) &&
	    fcntl(fd, F_SETFL, (int)file->flags & (O_APPEND | O_DIRECT | O_NOATIME)) < 0)
		return fail_errno(err, errno, "cannot set the flags of file %u", file->id);
	if (file->position && lseek(fd, (off_t)file->position, SEEK_SET) < 0)
		return fail_errno(err, errno, "cannot set the position of file %u to %llu",
				  file->id, (unsigned long long)file->position);
	return 0;
}

/*
 * A program may have made a file read-only that it had open for writing, or
 * made it so from the beginning, as git does.  Its owner may do again what
 * he did then: change the mode, open it, and put the mode back.
 */
static int open_lent(int root, const char *path, int flags)
{
	cleanup_close int fd = path_open(root, path, O_PATH | O_NOFOLLOW);
	cleanup_free char *link = str_format("/proc/self/fd/%d", fd);
	struct stat st;
	int own;

	if (!link || fd < 0 || fstat(fd, &st) < 0 || !is_lendable(&st) ||
	    chmod(link, (st.st_mode & 07777) | S_IRUSR | S_IWUSR) < 0)
		return -EACCES;
	own = path_open(root, path, flags);
	if (chmod(link, st.st_mode & 07777) < 0) {
		int errnum = errno;

		close_fdp(&own);
		return -errnum;
	}
	return own;
}

int path_reopen(int root, const char *path, const Rec__File *file, struct error **err)
{
	int flags = open_flags(file) | (file->flags & O_PATH ? 0 : O_NONBLOCK);
	cleanup_close int fd = path_open(root, path, flags);
	struct stat st;
	int r;

	if (fd == -EACCES)
		fd = open_lent(root, path, flags);
	if (fd < 0)
		return fail_errno(err, -fd, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return fail_errno(err, errno, "cannot look at %s", path);
	if ((st.st_mode & S_IFMT) != (file->mode & S_IFMT))
		return fail(err, EINVAL, "%s is not %s any more", path, type_words(file->mode));
	r = settle_description(fd, file, err);
	return r < 0 ? r : fd_steal(&fd);
}

int path_reopen_fd(int fd, const Rec__File *file, struct error **err)
{
	cleanup_free char *link = str_format("/proc/self/fd/%d", fd);
	cleanup_close int own = -1;
	int r;

	if (!link)
		return fail(err, ENOMEM, "out of memory");
	/* The link is followed by intent.  That the program asked for O_NOFOLLOW cannot be kept. */
	own = open(link, (open_flags(file) & ~O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return fail_errno(err, errno, "cannot open file %u anew", file->id);
	r = settle_description(own, file, err);
	return r < 0 ? r : fd_steal(&own);
}

void path_open_in_task(const struct rebuilt_task *t, const Rec__File *file, const char *path,
		       uint64_t resolve, uint32_t flags, struct batch *b)
{
	const struct open_how how = {
		.flags = (unsigned int)(open_flags(file) | O_CLOEXEC),
		.resolve = resolve,
	};
	uint32_t opened = batch_call(b, flags, SYS_openat2, (uint64_t)AT_FDCWD,
				     batch_put_string(b, path), batch_put(b, &how, sizeof how),
				     sizeof how);
	uint32_t call;

	if (file->position && !(file->flags & O_PATH)) {
		call = batch_call(b, flags, SYS_lseek, 0, file->position, SEEK_SET);
		batch_refer(b, call, 0, opened);
	}
	for (size_t i = 0; i < t->record->n_slots; i++) {
		const Rec__Slot *slot = t->record->slots[i];

		if (slot->file != file->id)
			continue;
		call = batch_call(b, flags, SYS_dup3, 0, slot->fd, slot->cloexec ? O_CLOEXEC : 0);
		batch_refer(b, call, 0, opened);
	}
	call = batch_call(b, flags, SYS_close, 0);
	batch_refer(b, call, 0, opened);
}

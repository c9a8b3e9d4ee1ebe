/*
 * Files that are found again by their name: opening them without being led
 * elsewhere, and what is said when that fails.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "inject/batch.h"
#include "records.pb-c.h"
#include "task/file.h"
#include "task/rebuild.h"

/* What the inodes of a file system are. */
enum fs_class {
	FS_STORAGE,   /* files as users know them */
	FS_GENERATED, /* the kernel makes their content up: /proc, /sys and the like */
	FS_OBJECTS,   /* handles of kernel objects: namespaces, message queues, secret memory */
};

enum fs_class path_fs_class(int fd);

/* It can be a path of an image: absolute, and short enough for open(2). */
bool path_valid(const char *path);

/*
 * openat2(2) of a path as the kernel writes it, hence one without symbolic
 * links: that a component has become one is an error (-ELOOP) and not
 * followed, because whoever put it there need not be the user.
 * root: a directory that the path begins at (rebuild.root), AT_FDCWD: our own root.
 */
int path_open(int root, const char *path, int flags);

/* path leads to this very inode. */
bool path_names(const char *path, const struct stat *st);

/* A path in the directory (its own path given) that leads to this inode, malloc'ed, or NULL. */
char *path_find_inode(const char *directory, const struct stat *st);
/* The directory that a path stands in, malloc'ed. */
char *path_parent(const char *path);

/*
 * The File message is consistent in itself: flags that open(2) knows, a
 * position that lseek(2) takes, and the type (S_IFREG...; 0: any).
 */
int path_validate_file(const Rec__File *file, mode_t type, struct error **err);

/*
 * How a capture() hook ends: with the record, or, when r or *found say that
 * something is wrong, without it and with the file's name before the reasons.
 */
int path_captured(const struct file *f, int r, ProtobufCMessage *m, ProtobufCMessage **ret,
		  struct error **found, struct error **err);

/* "descriptor 5 of the program", "mapped by the program": who needs a file.  The caller frees. */
char *path_role(const struct rebuild *r, uint32_t id);

/*
 * The path still leads to a file of the record's type that may be opened as
 * it was.  What is wrong is refused, each with what would mend it.
 * ret_st may be NULL.
 */
int path_check(const struct rebuild *r, const Rec__File *file, const char *path,
	       struct stat *ret_st, struct error **err);

/*
 * Opens it with the type, access mode, status flags and position of the
 * record.  O_ASYNC is not set: an owner must be known before.  root as for path_open().
 */
int path_reopen(int root, const char *path, const Rec__File *file, struct error **err);

/* How a task opens path itself, for all its numbers of the file; flags: of the batch entries. */
void path_open_in_task(const struct rebuilt_task *t, const Rec__File *file, const char *path,
		       uint64_t resolve, uint32_t flags, struct batch *b);

/* Another description of the inode behind fd, which is ours; likewise. */
int path_reopen_fd(int fd, const Rec__File *file, struct error **err);

/*
 * Regular files.  Those with a name are opened again by it; what the program
 * may have read must be as it was, for the program relies on it.  Those
 * without a name are ghosts: regular-ghost.c.
 */
#include "kind/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "proc/mountinfo.h"
#include "task/path.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

/*
 * What f->own shows is the file itself.  Where only a mapping is left of a
 * deleted file, it is a copy that the engine has made of it.
 */
static bool own_is_real(const struct file *f, struct stat *ret_st)
{
	return fstat(f->own, ret_st) == 0 && ret_st->st_ino == f->st.st_ino;
}

/* The area's device is that of a file system which is mounted: no memory of a driver or of AIO. */
static bool area_on_mount(const struct file *f)
{
	cleanup_mountinfo struct mount_table mounts = {0};
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp(f->task, "mountinfo", &text);

	if (n < 0 || mountinfo_parse(text, (size_t)n, &mounts) < 0)
		return false;
	vec_each(it, &mounts.list)
		if (it->dev_major == f->area->dev_major && it->dev_minor == f->area->dev_minor)
			return true;
	return false;
}

static bool regular_claims(const struct file *f)
{
	struct stat own;

	if (!S_ISREG(f->st.st_mode) || (f->flags & O_PATH) || !f->link || f->link[0] != '/' ||
	    f->own < 0 || path_fs_class(f->own) != FS_STORAGE)
		return false;
	return !f->area || own_is_real(f, &own) || area_on_mount(f);
}

/* As fstat(2) of the file itself; of a copy, with the names that it does not have. */
static struct stat identity(const struct file *f)
{
	struct stat st;

	if (!f->area)
		return f->st;
	/* The device in maps is not always the one of stat(2). */
	if (!own_is_real(f, &st)) {
		st.st_dev = f->st.st_dev;
		st.st_ino = f->st.st_ino;
		st.st_mode = f->st.st_mode;
		st.st_nlink = 0;
	}
	st.st_size = f->st.st_size;
	return st;
}

static uint64_t mtime_of(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;
}

/* Where else a file may be whose opened name is gone: beside it, or where the program works. */
static char *other_name(const struct file *f, const struct stat *st)
{
	cleanup_free char *parent = path_parent(f->link);
	cleanup_free char *cwd = NULL;
	char *found = parent ? path_find_inode(parent, st) : NULL;

	if (found)
		return found;
	cwd = task_readlink(f->task, "cwd");
	return cwd ? path_find_inode(cwd, st) : NULL;
}

/*
 * A name that leads to the file now, or NULL: it has none that could be found.
 * What the kernel says is a text: "x (deleted)" may be a name, and a name
 * may lead to the file again that was taken away in between.
 */
static char *current_name(const struct file *f, const struct stat *st)
{
	if (f->deleted) {
		cleanup_free char *literal = str_format("%s (deleted)", f->link);

		if (literal && path_names(literal, st))
			return strdup(literal);
	}
	if (path_names(f->link, st))
		return strdup(f->link);
	return st->st_nlink > 0 || f->area ? other_name(f, st) : NULL;
}

/* A log is written without looking back: it may have grown, or be a new one. */
static bool relies_on_content(const struct file *f)
{
	if (f->executable || f->fd < 0)
		return true;
	return (f->flags & O_ACCMODE) != O_WRONLY && !(f->flags & O_APPEND);
}

static int regular_fill(struct capture *c, struct file *f, Rec__Regular *m, struct error **err)
{
	const struct stat st = identity(f);
	char *name;

	m->size = (uint64_t)st.st_size;
	m->mtime = mtime_of(&st);
	m->inode = st.st_ino;
	m->device_major = major(st.st_dev);
	m->device_minor = minor(st.st_dev);
	m->links = (uint32_t)st.st_nlink;
	m->uid = st.st_uid;
	m->gid = st.st_gid;
	name = current_name(f, &st);
	if (!name)
		return ghost_capture(c, f, &st, m, err);
	m->path = name;
	m->must_match = relies_on_content(f);
	if (!path_valid(name))
		return refuse(err, ENAMETOOLONG, NULL, "its path is too long to be opened");
	return 0;
}

static int regular_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	Rec__Regular *m = kind_message(&kind_regular);
	cleanup_error struct error *found = NULL;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, regular_fill(c, f, m, &found), &m->base, ret, &found, err);
}

static int regular_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)base;
	int r = path_validate_file(m->file, S_IFREG, err);

	if (r < 0)
		return r;
	if (!path_valid(m->path))
		return refuse(err, EINVAL, NULL, "file %u of the image has no usable path",
			      m->file->id);
	if (m->deleted)
		return ghost_validate(m, err);
	if (m->content || m->n_data)
		return refuse(err, EINVAL, NULL,
			      "file %u of the image has both a name and content", m->file->id);
	return 0;
}

static int refuse_changed(const struct rebuild *r, const Rec__Regular *m, const struct stat *st,
			  struct error **err)
{
	static const char mend[] = "put back the file as it was at the checkpoint";
	cleanup_free char *role = path_role(r, m->file->id);

	if (!role)
		return fail(err, ENOMEM, "out of memory");
	if ((uint64_t)st->st_size != m->size)
		return refuse(err, ESTALE, mend,
			      "%s (%s) has changed since the checkpoint: "
			      "it had %" PRIu64 " bytes and has %" PRIu64,
			      m->path, role, m->size, (uint64_t)st->st_size);
	return refuse(err, ESTALE, mend,
		      "%s (%s) has been written to since the checkpoint, "
		      "or is another file of the same size",
		      m->path, role);
}

/* The same would be said of it again: an executable is a file and several mappings. */
static bool checked_before(const struct rebuild *r, const Rec__Regular *m)
{
	if (rebuilt_file(r, m->file->id)->in_slot)
		return false;
	vec_each(f, &r->files) {
		const Rec__Regular *other = (const Rec__Regular *)f->message;

		if (f->id >= m->file->id)
			return false;
		if (f->kind == &kind_regular && !other->deleted && !strcmp(other->path, m->path) &&
		    other->file->flags == m->file->flags && other->must_match && m->must_match)
			return true;
	}
	return false;
}

static int regular_check(const struct rebuild *r, const ProtobufCMessage *base,
			 struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)base;
	uint64_t needed = m->file->position < m->size ? m->file->position : m->size;
	struct stat st;
	int n;

	if (m->deleted || checked_before(r, m))
		return 0;
	n = path_check(r, m->file, m->path, &st, err);
	if (n < 0)
		return n;
	if (m->must_match && ((uint64_t)st.st_size != m->size || mtime_of(&st) != m->mtime))
		return refuse_changed(r, m, &st, err);
	/* What is written to its end may have begun anew; else a gap of zeros would come about. */
	if (!(m->file->flags & O_APPEND) && (uint64_t)st.st_size < needed)
		return refuse_changed(r, m, &st, err);
	return 0;
}

static int regular_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)f->message;

	return m->deleted ? ghost_open(r, f, err)
			  : path_reopen(r->root, m->path, m->file, err);
}

static int regular_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)f->message;

	return m->deleted ? ghost_fill_done(r, f, err) : 0;
}

const struct kind kind_regular = {
	.name = "file",
	.tag = 128,
	.schema = &rec__regular__descriptor,
	.file = &(const struct file_ops){
		.claims = regular_claims,
		.capture = regular_capture,
		.validate = regular_validate,
		.check = regular_check,
		.open = regular_open,
		.fill_done = regular_fill_done,
	},
};

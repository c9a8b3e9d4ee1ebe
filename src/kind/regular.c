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
#include "task/path.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

static bool regular_claims(const struct file *f)
{
	return S_ISREG(f->st.st_mode) && !(f->flags & O_PATH) && f->link && f->link[0] == '/' &&
	       f->own >= 0 && path_fs_class(f->own) == FS_STORAGE;
}

static uint64_t mtime_of(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;
}

/* Where else a file may be whose opened name is gone: beside it, or where the program works. */
static char *other_name(const struct file *f)
{
	cleanup_free char *parent = path_parent(f->link);
	cleanup_free char *cwd = NULL;
	char *found = parent ? path_find_inode(parent, &f->st) : NULL;

	if (found)
		return found;
	cwd = task_readlink(f->task, "cwd");
	return cwd ? path_find_inode(cwd, &f->st) : NULL;
}

/*
 * A name that leads to the file now, or NULL: it has none that could be found.
 * What the kernel says is a text: "x (deleted)" may be a name, and a name
 * may lead to the file again that was taken away in between.
 */
static char *current_name(const struct file *f)
{
	if (f->deleted) {
		cleanup_free char *literal = str_format("%s (deleted)", f->link);

		if (literal && path_names(literal, &f->st))
			return strdup(literal);
	}
	if (path_names(f->link, &f->st))
		return strdup(f->link);
	return f->st.st_nlink > 0 || f->fd < 0 ? other_name(f) : NULL;
}

/* A log is written without looking back: it may have grown, or be a new one. */
static bool relies_on_content(const struct file *f)
{
	if (f->executable || f->fd < 0)
		return true;
	return (f->flags & O_ACCMODE) != O_WRONLY && !(f->flags & O_APPEND);
}

static int regular_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	Rec__Regular *m = kind_message(&kind_regular);
	char *name;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	*ret = &m->base;
	m->size = (uint64_t)f->st.st_size;
	m->mtime = mtime_of(&f->st);
	m->inode = f->st.st_ino;
	m->device_major = major(f->st.st_dev);
	m->device_minor = minor(f->st.st_dev);
	m->links = (uint32_t)f->st.st_nlink;
	m->uid = f->st.st_uid;
	m->gid = f->st.st_gid;
	name = current_name(f);
	if (!name)
		return ghost_capture(c, f, m, err);
	m->path = name;
	m->must_match = relies_on_content(f);
	return path_valid(name) ? 0
				: refuse(err, ENAMETOOLONG, NULL, "its path is too long to be opened");
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
		return refuse(err, EINVAL, NULL, "file %u of the image has both a name and content",
			      m->file->id);
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

static int regular_check(const struct rebuild *r, const ProtobufCMessage *base,
			 struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)base;
	uint64_t needed = m->file->position < m->size ? m->file->position : m->size;
	struct stat st;
	int n;

	if (m->deleted)
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

	return m->deleted ? ghost_open(r, f, err) : path_reopen(m->path, m->file, err);
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

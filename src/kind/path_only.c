/*
 * O_PATH descriptions: they name a file of any type and do nothing else.  One
 * that names a symbolic link itself has O_NOFOLLOW among its flags.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kind/kind.h"
#include "task/path.h"

extern const struct kind kind_path_only;

static bool path_only_claims(const struct file *f)
{
	return (f->flags & O_PATH) && f->own >= 0 && path_fs_class(f->own) == FS_STORAGE;
}

static int path_only_fill(struct file *f, Rec__PathOnly *m, struct error **err)
{
	if (!path_names(f->link, &f->st))
		return refuse(err, ENOENT, "close it: an O_PATH descriptor only names a file",
			      f->deleted ? "what it names was removed"
					 : "its path leads elsewhere now");
	m->symlink = S_ISLNK(f->st.st_mode);
	m->path = strdup(f->link);
	return m->path ? 0 : fail(err, ENOMEM, "out of memory");
}

static int path_only_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			     struct error **err)
{
	Rec__PathOnly *m = kind_message(&kind_path_only);
	cleanup_error struct error *found = NULL;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, path_only_fill(f, m, &found), &m->base, ret, &found, err);
}

static int path_only_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__PathOnly *m = (const Rec__PathOnly *)base;
	int r = path_validate_file(m->file, 0, err);

	if (r < 0)
		return r;
	if (!path_valid(m->path) || !(m->file->flags & O_PATH) ||
	    m->symlink != S_ISLNK(m->file->mode) ||
	    (m->symlink && !(m->file->flags & O_NOFOLLOW)))
		return refuse(err, EINVAL, NULL, "O_PATH file %u of the image makes no sense",
			      m->file->id);
	return 0;
}

static int path_only_check(const struct rebuild *r, const ProtobufCMessage *base,
			   struct error **err)
{
	const Rec__PathOnly *m = (const Rec__PathOnly *)base;

	return path_check(r, m->file, m->path, NULL, err);
}

static int path_only_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__PathOnly *m = (const Rec__PathOnly *)f->message;

	return path_reopen(r->root, m->path, m->file, err);
}

const struct kind kind_path_only = {
	.name = "O_PATH",
	.tag = 132,
	.schema = &rec__path_only__descriptor,
	.file = &(const struct file_ops){
		.claims = path_only_claims,
		.capture = path_only_capture,
		.validate = path_only_validate,
		.check = path_only_check,
		.open = path_only_open,
	},
};

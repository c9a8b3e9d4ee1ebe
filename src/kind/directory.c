/*
 * Directories.  Their position is a cookie of the file system: it stands for an
 * entry, also after the directory was opened anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kind/kind.h"
#include "task/path.h"

extern const struct kind kind_directory;

static bool directory_claims(const struct file *f)
{
	return S_ISDIR(f->st.st_mode) && !(f->flags & O_PATH) && f->own >= 0 &&
	       path_fs_class(f->own) == FS_STORAGE;
}

static int directory_fill(struct file *f, Rec__Directory *m, struct error **err)
{
	if (!path_names(f->link, &f->st))
		return refuse(err, ENOENT, "close it, or make the program enter another one",
			      f->deleted ? "the directory was removed"
					 : "its path leads elsewhere now");
	m->path = strdup(f->link);
	return m->path ? 0 : fail(err, ENOMEM, "out of memory");
}

static int directory_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			     struct error **err)
{
	Rec__Directory *m = kind_message(&kind_directory);
	cleanup_error struct error *found = NULL;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, directory_fill(f, m, &found), &m->base, ret, &found, err);
}

static int directory_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Directory *m = (const Rec__Directory *)base;
	int r = path_validate_file(m->file, S_IFDIR, err);

	if (r < 0)
		return r;
	return path_valid(m->path) ? 0
				   : refuse(err, EINVAL, NULL,
					    "directory %u of the image has no usable path",
					    m->file->id);
}

static int directory_check(const struct rebuild *r, const ProtobufCMessage *base,
			   struct error **err)
{
	const Rec__Directory *m = (const Rec__Directory *)base;

	return path_check(r, m->file, m->path, NULL, err);
}

static int directory_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Directory *m = (const Rec__Directory *)f->message;

	return path_reopen(r->root, m->path, m->file, err);
}

const struct kind kind_directory = {
	.name = "directory",
	.tag = 129,
	.schema = &rec__directory__descriptor,
	.file = &(const struct file_ops){
		.claims = directory_claims,
		.capture = directory_capture,
		.validate = directory_validate,
		.check = directory_check,
		.open = directory_open,
	},
};

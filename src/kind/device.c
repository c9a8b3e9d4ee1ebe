/*
 * Character devices that keep nothing for whoever has opened them: a new
 * description is as good as the old one.  Any other device is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "kind/kind.h"
#include "task/path.h"

extern const struct kind kind_device;

#define MAJOR_MEMORY 1

/* The kernel has given these numbers away for good (Documentation/admin-guide/devices.txt). */
static const struct known_device {
	unsigned int minor;
	const char *path; /* where it is usually found */
} known_devices[] = {
	{3, "/dev/null"},   {5, "/dev/zero"},    {7, "/dev/full"},
	{8, "/dev/random"}, {9, "/dev/urandom"},
};

static const struct known_device *known_device(unsigned int major, unsigned int minor)
{
	for (size_t i = 0; i < sizeof known_devices / sizeof known_devices[0]; i++)
		if (major == MAJOR_MEMORY && known_devices[i].minor == minor)
			return &known_devices[i];
	return NULL;
}

static bool device_claims(const struct file *f)
{
	return S_ISCHR(f->st.st_mode) && !(f->flags & O_PATH) &&
	       known_device(major(f->st.st_rdev), minor(f->st.st_rdev));
}

static int device_fill(struct file *f, Rec__Device *m, struct error **err)
{
	const struct known_device *known;

	m->major = major(f->st.st_rdev);
	m->minor = minor(f->st.st_rdev);
	known = known_device(m->major, m->minor);
	/* The number says what it is: a node that is gone is replaced by the usual one. */
	m->path = strdup(path_names(f->link, &f->st) || !known ? f->link : known->path);
	return m->path ? 0 : fail(err, ENOMEM, "out of memory");
}

static int device_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			  struct error **err)
{
	Rec__Device *m = kind_message(&kind_device);
	cleanup_error struct error *found = NULL;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, device_fill(f, m, &found), &m->base, ret, &found, err);
}

static int device_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Device *m = (const Rec__Device *)base;
	int r = path_validate_file(m->file, S_IFCHR, err);

	if (r < 0)
		return r;
	if (!path_valid(m->path) || !known_device(m->major, m->minor))
		return refuse(err, EINVAL, NULL,
			      "file %u of the image is not a device for everyone", m->file->id);
	return 0;
}

static bool same_device(const Rec__Device *m, const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == m->major &&
	       minor(st->st_rdev) == m->minor;
}

static int device_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err)
{
	const Rec__Device *m = (const Rec__Device *)base;
	struct stat st;
	int n = path_check(r, m->file, m->path, &st, err);

	if (n < 0)
		return n;
	return same_device(m, &st) ? 0
				   : refuse(err, ENODEV, "put the device node back",
					    "%s is not the device %u:%u any more", m->path,
					    m->major, m->minor);
}

static int device_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Device *m = (const Rec__Device *)f->message;
	cleanup_close int fd = path_reopen(r->root, m->path, m->file, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !same_device(m, &st))
		return fail(err, ENODEV, "%s is not the device %u:%u any more", m->path, m->major,
			    m->minor);
	return fd_steal(&fd);
}

const struct kind kind_device = {
	.name = "device",
	.tag = 131,
	.schema = &rec__device__descriptor,
	.file = &(const struct file_ops){
		.claims = device_claims,
		.capture = device_capture,
		.validate = device_validate,
		.check = device_check,
		.open = device_open,
	},
};

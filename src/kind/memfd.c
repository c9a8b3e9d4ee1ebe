/*
 * memfd_create(2), and anonymous shared memory: to the kernel these are the
 * same, a file of an internal tmpfs (or hugetlbfs) that never had a name in
 * any directory.  This half captures, memfd-open.c restores.
 */
#include "kind/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "base/str.h"
#include "task/content.h"
#include "task/path.h"

#define NAMED  "/memfd:"
#define SHARED "/dev/zero"      /* MAP_SHARED | MAP_ANONYMOUS */
#define HUGE   "/anon_hugepage" /* the same with MAP_HUGETLB */

#define NAME_MAX_LENGTH 249 /* of memfd_create(2) */

#define HUGE_SHIFT 26
#define HUGE_MASK  (UINT32_C(0x3f) << HUGE_SHIFT)

static bool without_descriptor(const struct file *f)
{
	return f->fd < 0 &&
	       (!strcmp(f->link, SHARED) || !strcmp(f->link, HUGE));
}

static bool memfd_claims(const struct file *f)
{
	struct statfs fs;

	if (!f->deleted || !f->link || (f->flags & O_PATH))
		return false;
	if (without_descriptor(f))
		return true;
	return f->own >= 0 && str_starts(f->link, NAMED) && fstatfs(f->own, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

/* MFD_HUGETLB and the size of its pages, or 0. */
static uint32_t huge_flags(const struct file *f)
{
	struct statfs fs;
	uint64_t size = 0;

	if (f->area && (f->area->flags & VM_FLAG(HUGETLB)))
		size = f->area->page_size;
	else if (fstatfs(f->own, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC)
		size = (uint64_t)fs.f_bsize;
	return size ? MFD_HUGETLB | (uint32_t)__builtin_ctzll(size) << HUGE_SHIFT : 0;
}

/*
 * Seals are seen through a descriptor.  Where the program has kept only a
 * mapping, it has no way to see or change them either.
 */
static int capture_seals(const struct file *f, Rec__Memfd *m, struct error **err)
{
	int seals = f->fd >= 0 ? fcntl(f->own, F_GET_SEALS) : F_SEAL_SEAL;

	if (seals < 0)
		return fail_errno(err, errno, "its seals cannot be read");
	if ((uint32_t)seals & ~MEMFD_SEALS)
		return refuse(err, ENOTSUP, NULL, "it has a seal that is not known (0x%x)", seals);
	m->seals = (uint32_t)seals;
	m->sealable = !(seals & F_SEAL_SEAL);
	return 0;
}

static int memfd_fill(struct capture *c, struct file *f, Rec__Memfd *m, struct error **err)
{
	int r;

	m->anonymous = without_descriptor(f);
	m->object = f->st.st_ino;
	m->size = (uint64_t)f->st.st_size;
	/* Nobody sees the mode of what has no descriptor: that of memfd_create(2) will do. */
	m->permissions = f->fd >= 0 ? f->st.st_mode & 07777 : 0777;
	m->huge_flags = huge_flags(f);
	m->name = strdup(m->anonymous ? "anonymous" : f->link + strlen(NAMED));
	if (!m->name)
		return fail(err, ENOMEM, "out of memory");
	r = capture_seals(f, m, err);
	if (r < 0)
		return r;
	m->content = capture_share(c, kind_memfd.tag, f->st.st_dev, f->st.st_ino, f->id);
	if (!m->content)
		return fail(err, ENOMEM, "out of memory");
	if (m->content != f->id)
		return 0;
	r = capture_content(c, f->id, f->own, m->size, err);
	if (r < 0)
		return r;
	return content_ranges(c, f->id, &m->n_data, &m->data) < 0
		       ? fail(err, ENOMEM, "out of memory")
		       : 0;
}

static int memfd_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			 struct error **err)
{
	Rec__Memfd *m = kind_message(&kind_memfd);
	cleanup_error struct error *found = NULL;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, memfd_fill(c, f, m, &found), &m->base, ret, &found, err);
}

static int memfd_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Memfd *m = (const Rec__Memfd *)base;
	int r = path_validate_file(m->file, S_IFREG, err);
	unsigned int id;

	if (r < 0)
		return r;
	id = m->file->id;
	if (!m->content || m->content > id || (m->content != id && m->n_data) ||
	    !content_ranges_valid(m->n_data, m->data, m->size))
		return refuse(err, EINVAL, NULL,
			      "the content of memfd %u of the image is out of order", id);
	if (strlen(m->name) > NAME_MAX_LENGTH || (m->seals & ~MEMFD_SEALS) ||
	    (m->permissions & ~07777U) ||
	    (m->huge_flags & ~((uint32_t)MFD_HUGETLB | HUGE_MASK)) ||
	    (m->huge_flags && !(m->huge_flags & MFD_HUGETLB)))
		return refuse(err, EINVAL, NULL, "memfd %u of the image makes no sense", id);
	return 0;
}

const struct kind kind_memfd = {
	.name = "memfd",
	.tag = 139,
	.schema = &rec__memfd__descriptor,
	.file = &(const struct file_ops){
		.claims = memfd_claims,
		.capture = memfd_capture,
		.validate = memfd_validate,
		.check = memfd_check,
		.open = memfd_open,
		.fill_done = memfd_fill_done,
		.settle = memfd_settle,
	},
};

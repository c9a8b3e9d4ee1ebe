/* Restoring memfds: made, filled, sealed, and opened once more for each description. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "kind/memfd.h"
#include "task/path.h"

/* Flags of memfd_create(2) that older headers lack (Linux 6.3). */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define EXEC_BITS 0111

/* What is known of one object from all its descriptions and mappings together. */
struct object {
	const Rec__Memfd *owner; /* the record that carries the content */
	uint32_t seals;
	uint32_t permissions;
	bool map_write;  /* some mapping of it is shared and writable */
	uint32_t sealer; /* id of the first description that may add seals, 0: none */
};

static const Rec__Memfd *memfd_record(const struct rebuilt_file *f)
{
	return f && f->kind == &kind_memfd ? (const Rec__Memfd *)f->message : NULL;
}

static int object_look(const struct rebuild *r, uint32_t content, struct object *ret,
		       struct error **err)
{
	struct object o = {.owner = memfd_record(rebuilt_file(r, content))};
	bool open = false;

	if (!o.owner || o.owner->content != content)
		return refuse(err, EINVAL, NULL, "the image lacks the content of memfd %u",
			      content);
	o.seals = o.owner->seals;
	o.permissions = o.owner->permissions;
	vec_each(f, &r->files) {
		const Rec__Memfd *m = memfd_record(f);

		if (!m || m->content != content)
			continue;
		o.map_write |= f->map_write;
		/* A descriptor knows more than a mapping does. */
		if (f->in_slot && !open) {
			open = true;
			o.seals = m->seals;
			o.permissions = m->permissions;
		}
		if (f->in_slot && !o.sealer && (m->file->flags & O_ACCMODE) != O_RDONLY)
			o.sealer = f->id;
	}
	*ret = o;
	return 0;
}

/*
 * F_SEAL_FUTURE_WRITE spares the writable mappings that exist.  They must
 * therefore exist before it is set: the task does that itself, at the end.
 */
static bool sealed_late(const struct object *o)
{
	return o->map_write && (o->seals & F_SEAL_FUTURE_WRITE);
}

int memfd_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err)
{
	const Rec__Memfd *m = (const Rec__Memfd *)base;
	struct object o;
	int n = object_look(r, m->content, &o, err);

	if (n < 0)
		return n;
	if (m->content == m->file->id && sealed_late(&o) && !o.sealer)
		return refuse(err, ENOTSUP, NULL,
			      "memfd \"%s\" is sealed against writing, still mapped for writing, "
			      "and the program has no descriptor by which it could be sealed again",
			      m->name);
	return 0;
}

static int object_create(const struct object *o)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | o->owner->huge_flags;
	unsigned int exec = MFD_EXEC;
	int fd;

	/* Where vm.memfd_noexec forbids executable ones, one that never was is still permitted. */
	if ((o->seals & F_SEAL_EXEC) && !(o->permissions & EXEC_BITS))
		exec = MFD_NOEXEC_SEAL;
	fd = memfd_create(o->owner->name, flags | exec);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(o->owner->name, flags);
	return fd < 0 ? -errno : fd;
}

/*
 * The object, made when it is first asked for.  fds[0] of the result is for its
 * content.  Memory of huge pages cannot be written by pwrite(2): then fds[1]
 * is the object, and fds[0] a plain memfd whose content is moved in later.
 */
static int object_get(struct rebuild *r, uint32_t content, struct rebuilt_shared **ret,
		      struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_memfd.tag, content);
	struct object o = {0};
	int n, fd;

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	*ret = s;
	if (s->fds[0] >= 0)
		return 0;
	n = object_look(r, content, &o, err);
	if (n < 0)
		return n;
	fd = object_create(&o);
	if (fd < 0)
		return fail_errno(err, -fd, "cannot make memfd \"%s\"", o.owner->name);
	s->fds[o.owner->huge_flags != 0] = fd;
	if (ftruncate(fd, (off_t)o.owner->size) < 0)
		return fail_errno(err, errno, "cannot make memfd \"%s\" as large as it was",
				  o.owner->name);
	if (o.owner->huge_flags) {
		s->fds[0] = memfd_create("content", MFD_CLOEXEC);
		if (s->fds[0] < 0)
			return fail_errno(err, errno, "cannot make a memfd");
	}
	return 0;
}

static int object_fd(const struct rebuilt_shared *s)
{
	return s->fds[1] >= 0 ? s->fds[1] : s->fds[0];
}

int memfd_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Memfd *m = (const Rec__Memfd *)f->message;
	struct rebuilt_shared *s = NULL;
	int n = object_get(r, m->content, &s, err);

	return n < 0 ? n : path_reopen_fd(object_fd(s), m->file, err);
}

/* Moves the content to where pwrite(2) does not reach. */
static int fill_huge(const Rec__Memfd *m, const struct rebuilt_shared *s, struct error **err)
{
	char *map;
	ssize_t n = 0;

	if (!m->n_data)
		return 0;
	map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fds[1], 0);
	if (map == MAP_FAILED)
		return fail_errno(err, errno, "there are not enough huge pages for memfd \"%s\"",
				  m->name);
	for (size_t i = 0; n >= 0 && i < m->n_data; i++) {
		const Rec__Range *range = m->data[i];

		n = fd_pread(s->fds[0], map + range->start, range->end - range->start,
			     range->start);
	}
	munmap(map, m->size);
	return n < 0 ? fail_errno(err, (int)-n, "cannot fill memfd \"%s\"", m->name) : 0;
}

int memfd_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Memfd *m = (const Rec__Memfd *)f->message;
	struct rebuilt_shared *s = rebuilt_share(r, kind_memfd.tag, m->content);
	struct object o = {0};
	int n;

	if (!s || s->fds[0] < 0 || m->content != f->id)
		return 0;
	n = object_look(r, m->content, &o, err);
	if (n < 0)
		return n;
	if (m->huge_flags)
		n = fill_huge(m, s, err);
	else if (ftruncate(s->fds[0], (off_t)m->size) < 0) /* frames are whole pages */
		n = fail_errno(err, errno, "cannot make memfd \"%s\" as large as it was", m->name);
	if (n < 0)
		return n;
	if (fchmod(object_fd(s), o.permissions) < 0)
		return fail_errno(err, errno, "cannot set the mode of memfd \"%s\"", m->name);
	if (o.seals && !sealed_late(&o) && fcntl(object_fd(s), F_ADD_SEALS, o.seals) < 0)
		return fail_errno(err, errno, "cannot seal memfd \"%s\"", m->name);
	return 0;
}

int memfd_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *base, int fd,
		 struct batch *b, struct error **err)
{
	const Rec__Memfd *m = (const Rec__Memfd *)base;
	struct object o = {0};
	int n = object_look(r, m->content, &o, err);

	(void)t;
	if (n < 0)
		return n;
	if (sealed_late(&o) && o.sealer == m->file->id)
		batch_call(b, 0, SYS_fcntl, (uint64_t)fd, F_ADD_SEALS, o.seals);
	return 0;
}

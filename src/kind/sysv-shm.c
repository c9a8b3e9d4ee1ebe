/*
 * System V shared memory.  This half captures, sysv-shm-open.c restores.
 *
 * The content is read through the mappings of the tree: to attach a segment would show as
 * its last attachment (shm_lpid, shm_atime).  Only what no process has mapped is read that way.
 */
#include "kind/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "priv/userns.h"
#include "task/append.h"
#include "task/content.h"
#include "task/path.h"

static bool shm_claims(const struct file *f)
{
	return f->fd < 0 && f->own < 0 && f->link && str_starts(f->link, "/SYSV");
}

static bool shows(const struct vm_area *a, int id)
{
	return a->path && str_starts(a->path, "/SYSV") && a->inode == (uint64_t)id;
}

/* As the kernel counts: each mapping of each address space. */
static uint64_t count_mappings(const struct capture *c, int id)
{
	uint64_t n = 0;

	vec_each(task, &c->tree.tasks) {
		if ((*task)->memory_of)
			continue;
		vec_each(a, &(*task)->areas.list)
			n += shows(a, id);
	}
	return n;
}

/* The mapping that shows most of the segment from offset on, or NULL; *ret_next: where one begins. */
static const struct vm_area *find_mapping(const struct capture *c, int id, uint64_t offset,
					  const struct task **ret_task, uint64_t *ret_next)
{
	const struct vm_area *best = NULL;
	uint64_t best_end = offset;

	vec_each(task, &c->tree.tasks)
		vec_each(a, &(*task)->areas.list) {
			uint64_t end = a->offset + (a->end - a->start);

			if (!shows(a, id) || end <= offset)
				continue;
			if (a->offset > offset && a->offset < *ret_next)
				*ret_next = a->offset;
			if (a->offset > offset || end <= best_end)
				continue;
			best = a;
			best_end = end;
			*ret_task = *task;
		}
	return best;
}

static int add_content(struct capture *c, uint32_t object, int fd, uint64_t from, uint64_t to,
		       uint64_t shift)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct content *content = own < 0 ? NULL : vec_push(&c->contents);

	if (!content) {
		close_fdp(&own);
		return -ENOMEM;
	}
	*content = (struct content){object, own, from, to - from, shift};
	return 0;
}

/* A part of a segment that is copied into a file. */
struct copying {
	int id, fd;
	uint64_t from, to;
};

static int copy_attached(void *arg)
{
	const struct copying *in = arg;
	const char *at = shmat(in->id, NULL, SHM_RDONLY);
	int r;

	if (at == (const char *)-1)
		return -errno;
	r = fd_pwrite(in->fd, at + in->from, in->to - in->from, in->from);
	shmdt(at);
	return r;
}

/* Nobody of the tree has mapped it. */
static int add_unmapped(struct capture *c, uint32_t object, int id, uint64_t from, uint64_t to,
			struct error **err)
{
	cleanup_close int fd = memfd_create("stasis-segment", MFD_CLOEXEC);
	struct copying in = {.id = id, .fd = fd, .from = from, .to = to};
	int r = fd < 0 ? -errno : priv_within(capture_ipc(c), copy_attached, &in);

	if (r == 0)
		r = add_content(c, object, fd, from, to, 0);
	return r < 0 ? fail_errno(err, -r, "its content cannot be read") : 0;
}

static int capture_data(struct capture *c, uint32_t object, const Rec__SysvShm *m,
			struct error **err)
{
	uint64_t size = (m->size + ARCH_PAGE_SIZE - 1) & ~(uint64_t)(ARCH_PAGE_SIZE - 1);

	for (uint64_t at = 0; at < size;) {
		const struct task *task = NULL;
		uint64_t to = size;
		const struct vm_area *a = find_mapping(c, m->object->id, at, &task, &to);
		int r;

		if (a) {
			to = a->offset + (a->end - a->start);
			to = to < size ? to : size;
			r = add_content(c, object, task->mem, at, to, a->start - a->offset);
			if (r < 0)
				return fail(err, ENOMEM, "out of memory");
		} else {
			r = add_unmapped(c, object, m->object->id, at, to, err);
			if (r < 0)
				return r;
		}
		at = to;
	}
	return 0;
}

static int check_users(const struct capture *c, const struct sysv_object *o, struct error **err)
{
	uint64_t mine = count_mappings(c, o->id);

	if (o->count <= mine)
		return 0;
	return refuse(err, EBUSY, "checkpoint all of its users together, or let the others detach it",
		      "processes that are not part of the program have attached it (%" PRIu64
		      " of %" PRIu64 " attachments)",
		      o->count - mine, o->count);
}

static int shm_fill(struct capture *c, struct file *f, Rec__SysvShm *m, struct error **err)
{
	const struct sysv_table *table = sysv_look_at(c, err);
	const struct sysv_object *o;
	int r;

	if (!table)
		return -EPERM;
	o = sysv_find(table, SYSV_SHM, (int)f->st.st_ino);
	if (!o)
		return refuse(err, ENOTSUP, NULL,
			      "no such System V segment is in the program's IPC namespace");
	if (f->area && (f->area->flags & VM_FLAG(HUGETLB)))
		return refuse(err, ENOTSUP, NULL, "huge pages (SHM_HUGETLB) are not supported");
	r = check_users(c, o, err);
	if (r < 0)
		return r;
	m->object = sysv_record(c, o);
	if (!m->object)
		return fail(err, ENOMEM, "out of memory");
	m->removed = o->mode & SHM_DEST;
	m->locked = o->mode & SHM_LOCKED;
	/* A removed one has lost its key, but not the name that is made of it. */
	if (m->removed)
		m->object->key = (int32_t)strtoul(f->link + strlen("/SYSV"), NULL, 16);
	m->size = o->size;
	m->content = capture_share(c, kind_sysv_shm.tag, (uint64_t)o->id, 0, f->id);
	if (!m->content)
		return fail(err, ENOMEM, "out of memory");
	if (m->content != f->id)
		return 0;
	r = capture_data(c, f->id, m, err);
	if (r < 0)
		return r;
	return content_ranges(c, f->id, &m->n_data, &m->data) < 0 ? fail(err, ENOMEM, "out of memory")
								   : 0;
}

static int shm_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
		       struct error **err)
{
	Rec__SysvShm *m = kind_message(&kind_sysv_shm);
	cleanup_error struct error *found = NULL;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, shm_fill(c, f, m, &found), &m->base, ret, &found, err);
}

static int shm_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__SysvShm *m = (const Rec__SysvShm *)base;
	int r = path_validate_file(m->file, S_IFREG, err);

	if (r < 0)
		return r;
	if (!sysv_object_valid(m->object) || !m->size || m->size > ARCH_USER_END || !m->content ||
	    m->content > m->file->id)
		return refuse(err, EINVAL, NULL, "System V segment %u of the image makes no sense",
			      m->file->id);
	if ((m->content != m->file->id && m->n_data) ||
	    !content_ranges_valid(m->n_data, m->data, m->size))
		return refuse(err, EINVAL, NULL,
			      "the content of System V segment %u of the image is out of order",
			      m->file->id);
	return 0;
}

const struct kind kind_sysv_shm = {
	.name = "System V shared memory",
	.tag = 150,
	.schema = &rec__sysv_shm__descriptor,
	.file = &(const struct file_ops){
		.claims = shm_claims,
		.capture = shm_capture,
		.validate = shm_validate,
		.taken = sysv_shm_taken,
		.check = sysv_shm_check,
		.open = sysv_shm_open,
		.map = sysv_shm_map,
		.undo = sysv_shm_undo,
	},
};

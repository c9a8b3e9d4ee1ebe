/*
 * Restoring System V shared memory.
 *
 * A segment is made by the first task that maps it: so it is its creator (shm_cpid), and all happens
 * in the IPC namespace where the program will live.  Its content comes by way of a memfd, from
 * which the task reads it.  A segment that outlived the program is used again and
 * given the content of the image.
 */
#include "kind/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "inject/place.h"

/* Extents of data that are read one by one; what is beyond comes with its holes. */
#define EXTENTS_MAX 60

/* A vdso that is moved about stands behind the region. */
#define REGION_ROOM (BATCH_REGION_SIZE + (128u << 10))

/* Of a descriptor that is one of ours. */
static const Rec__SysvShm *shm_record(const struct rebuilt_file *f)
{
	return (const Rec__SysvShm *)f->message;
}

/* Who brings the content; NULL: nobody that could. */
static struct rebuilt_file *owner_of(const struct rebuild *r, const Rec__SysvShm *m)
{
	struct rebuilt_file *f = rebuilt_file(r, m->content);

	return f && f->kind == &kind_sysv_shm ? f : NULL;
}

static uint64_t whole_pages(uint64_t size)
{
	return (size + ARCH_PAGE_SIZE - 1) & ~(uint64_t)(ARCH_PAGE_SIZE - 1);
}

static bool same_segment(const struct sysv_object *o, const void *arg)
{
	const Rec__SysvShm *m = arg;

	return !m->removed && o->count == 0 && o->size == m->size;
}

bool sysv_shm_taken(struct rebuild *r, const ProtobufCMessage *base)
{
	const Rec__SysvShm *m = (const Rec__SysvShm *)base;

	return sysv_plan(r, SYSV_SHM, m->object, same_segment, m) == SYSV_TAKEN;
}

int sysv_shm_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err)
{
	const Rec__SysvShm *m = (const Rec__SysvShm *)base;
	const struct rebuilt_file *f = owner_of(r, m);
	const Rec__SysvShm *owner = f ? shm_record(f) : NULL;

	if (!owner || owner->content != m->content || owner->object->id != m->object->id ||
	    owner->size != m->size)
		return refuse(err, EINVAL, NULL, "the image lacks the content of System V segment %d",
			      m->object->id);
	/* One sentence for each segment. */
	return owner == m ? sysv_check(r, SYSV_SHM, m->object, err) : 0;
}

void sysv_shm_undo(const struct rebuild *r, const ProtobufCMessage *base)
{
	sysv_remove(r, SYSV_SHM, ((const Rec__SysvShm *)base)->object->id);
}

int sysv_shm_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__SysvShm *m = shm_record(f);
	struct rebuilt_shared *s = rebuilt_share(r, kind_sysv_shm.tag, m->content);
	int fd;

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	if (s->fds[0] < 0) {
		s->fds[0] = memfd_create("segment", MFD_CLOEXEC);
		if (s->fds[0] < 0 || ftruncate(s->fds[0], (off_t)whole_pages(m->size)) < 0)
			return fail_errno(err, errno, "cannot make room for its content");
	}
	fd = fcntl(s->fds[0], F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? fail_errno(err, errno, "cannot duplicate a descriptor") : fd;
}

static int by_start(const void *a, const void *b)
{
	const struct vm_area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Address space of the task that neither it nor the restore uses, for the segment twice. */
static int find_place(const struct rebuilt_task *t, const struct batch *b, uint64_t size,
		      uint64_t *ret, struct error **err)
{
	const Rec__Memory *memory = rebuilt_memory(t);
	struct vm_areas all = {0};
	struct vm_area *at;
	bool complete = true;

	for (size_t i = 0; i < memory->n_areas; i++) {
		const Rec__Area *a = memory->areas[i];

		at = vec_push(&all.list);
		complete = complete && at;
		if (at)
			*at = (struct vm_area){.start = a->start, .end = a->end};
	}
	at = vec_push(&all.list);
	complete = complete && at;
	if (at)
		*at = (struct vm_area){.start = b->region, .end = b->region + REGION_ROOM};
	if (complete) {
		qsort(all.list.items, all.list.count, sizeof *all.list.items, by_start);
		*ret = inject_find_gap(&all, 2 * size);
	}
	vec_free(&all.list);
	if (!complete)
		return fail(err, ENOMEM, "out of memory");
	return *ret ? 0 : fail(err, ENOMEM, "there is no room for a segment of %" PRIu64 " bytes",
			       size);
}

/* The task reads what the memfd has, and leaves holes where it has some. */
static void add_content(int fd, uint64_t size, uint64_t place, struct batch *b)
{
	off_t at = 0;

	for (int i = 0; i < EXTENTS_MAX; i++) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0)
			return;
		end = i + 1 < EXTENTS_MAX ? lseek(fd, data, SEEK_HOLE) : (off_t)size;
		if (end < 0 || (uint64_t)end > size)
			end = (off_t)size;
		batch_call(b, 0, SYS_pread64, (uint64_t)fd, place + (uint64_t)data,
			   (uint64_t)(end - data), (uint64_t)data);
		at = end;
	}
}

static void set_owner(const Rec__SysvObject *m, struct batch *b)
{
	struct shmid_ds d = {.shm_perm = {.uid = m->uid, .gid = m->gid,
					  .mode = (unsigned short)m->mode}};

	batch_call(b, 0, SYS_shmctl, (uint64_t)m->id, IPC_SET, batch_put(b, &d, sizeof d));
}

/* It is left attached at place. */
static void make(const struct rebuild *r, const struct rebuilt_file *f, uint64_t place,
		 struct batch *b)
{
	const Rec__SysvShm *m = shm_record(f);
	uint64_t id = (uint64_t)m->object->id, size = whole_pages(m->size);
	bool new = sysv_is_new(r, SYSV_SHM, m->object->id);

	if (new) {
		sysv_add_number(SYSV_SHM, m->object->id, b);
		batch_call(b, 0, SYS_shmget, (uint64_t)m->object->key, m->size,
			   IPC_CREAT | IPC_EXCL | m->object->mode | 0600);
	}
	batch_call(b, 0, SYS_shmat, id, place, 0);
	/* What others have written into holes goes. */
	if (!new)
		batch_call(b, 0, SYS_madvise, place, size, MADV_REMOVE);
	add_content(f->fd, m->size, place, b);
	if (m->locked)
		batch_call(b, 0, SYS_shmctl, id, SHM_LOCK, 0);
	if (new)
		set_owner(m->object, b);
	/* It stays as long as a task has it: they attach it by its number. */
	if (m->removed)
		batch_call(b, 0, SYS_shmctl, id, IPC_RMID, 0);
}

int sysv_shm_make(const struct rebuild *r, const struct rebuilt_task *t, struct rebuilt_file *f,
		  struct batch *b, struct error **err)
{
	struct rebuilt_file *owner = rebuilt_file(r, shm_record(f)->content);
	uint64_t size = whole_pages(shm_record(f)->size), place;
	int res = find_place(t, b, size, &place, err);

	if (res < 0 || owner->made)
		return res;
	owner->made = true;
	make(r, f, place, b);
	batch_call(b, 0, SYS_munmap, place, size);
	return 0;
}

/* shmat(2) maps whole segments only: it is attached elsewhere, and the part moved to its place. */
static int map_part(const Rec__SysvShm *m, uint64_t flags, const Rec__Area *a, uint64_t place,
		    struct batch *b, struct error **err)
{
	uint64_t size = whole_pages(m->size), length = a->end - a->start;

	if (a->offset >= size || length > size - a->offset)
		return refuse(err, EBADMSG, NULL,
			      "the mapping at 0x%" PRIx64 " is larger than its segment", a->start);
	batch_call(b, 0, SYS_shmat, (uint64_t)m->object->id, place, flags);
	batch_call(b, 0, SYS_mremap, place + a->offset, length, length,
		   MREMAP_MAYMOVE | MREMAP_FIXED, a->start);
	batch_call(b, 0, SYS_munmap, place, size);
	return 0;
}

int sysv_shm_map(const struct rebuild *r, const struct rebuilt_task *t, struct rebuilt_file *f,
		 const Rec__Area *a, struct batch *b, struct error **err)
{
	const Rec__SysvShm *m = shm_record(f);
	struct rebuilt_file *owner = rebuilt_file(r, m->content);
	bool read_only = (m->file->flags & O_ACCMODE) == O_RDONLY, first = !owner->made;
	uint64_t flags = read_only ? SHM_RDONLY : 0;
	uint64_t size = whole_pages(m->size), place;
	int res = find_place(t, b, size, &place, err);

	if (res == 0 && first) {
		owner->made = true;
		make(r, f, place, b);
	}
	if (res == 0 && (a->offset || a->end - a->start != size))
		res = map_part(m, flags, a, place + size, b, err);
	else if (res == 0)
		batch_call(b, 0, SYS_shmat, (uint64_t)m->object->id, a->start, flags);
	/* Only now: one that was removed goes with its last attachment. */
	if (res == 0 && first)
		batch_call(b, 0, SYS_munmap, place, size);
	/* Not by SHM_EXEC, which asks for a permission; whoever has it attached needs none. */
	if (res == 0)
		batch_call(b, 0, SYS_mprotect, a->start, a->end - a->start, a->prot);
	return res;
}

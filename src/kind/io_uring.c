/*
 * io_uring(7): capture of a ring that has nothing to do.
 *
 * The kernel does not say what a ring is doing, but how many requests it has taken
 * and how many results it has given.  When these are equal, and nothing waits for an event, it
 * is idle, and then all there is to it is memory that it shares with the program, its
 * sizes, and that number.  Requests that are prepared and results that are not taken are in that memory.
 *
 * What nobody can see and no ring has after the restore: how it wakes whom
 * (IORING_SETUP_COOP_TASKRUN, _TASKRUN_FLAG), _SUBMIT_ALL, _IOPOLL, how long its thread
 * stays awake, and the numbers by which threads have registered it (IORING_REGISTER_RING_FDS).
 */
#include "kind/io_uring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "task/append.h"

#define IDLE_MEND "try again when the program waits for nothing through it"
#define RUN_WITHOUT                                                                  \
	"start the program without io_uring (Node.js: UV_USE_IO_URING=0; for all: "  \
	"sysctl kernel.io_uring_disabled=2)"

#define REGISTER_PBUF_STATUS 26 /* Linux 6.8 */
struct pbuf_status {
	uint32_t group, head, resv[8];
};

static bool is_ring(const struct file *f)
{
	return f->link && f->fd >= 0 && !strcmp(f->link, RING_LINK);
}

static bool io_uring_claims(const struct file *f)
{
	if (!f->link)
		return false;
	return !strcmp(f->link, RING_LINK) || (f->fd < 0 && !strcmp(f->link, RING_MEMORY_LINK));
}

/* ---- The memory ---- */

static const struct vm_area *area_at(const struct task *task, uint64_t inode, const char *path,
				     uint64_t offset)
{
	vec_each(a, &task->areas.list)
		if (a->inode == inode && a->offset == offset && a->path && !strcmp(a->path, path))
			return a;
	return NULL;
}

/* The ring that memory of a restored one belongs to; {0}: not known. */
static struct ring_mark marked(const struct task *task, const struct vm_area *a)
{
	struct ring_mark mark;

	if (task_read_memory(task, a->end - sizeof mark, &mark, sizeof mark) < 0 ||
	    mark.magic != RING_MARK_MAGIC)
		mark = (struct ring_mark){0};
	return mark;
}

/* Where a process has the rings of a restored one, and in *ret_entries the requests. */
static const struct vm_area *restored_memory(const struct task *task, uint64_t ring,
					     const struct vm_area **ret_entries)
{
	vec_each(a, &task->areas.list) {
		if (!a->path || strcmp(a->path, RING_MEMORY_LINK) != 0 || a->offset ||
		    marked(task, a).inode != ring)
			continue;
		*ret_entries = area_at(task, a->inode, RING_MEMORY_LINK, IORING_OFF_SQES);
		return a;
	}
	return NULL;
}

/*
 * How much of a mapping of a ring exists, copied.  The kernel reads it in the way that
 * programs do, for neither ptrace nor pinning works where it maps page frames.
 */
static size_t copy_mapped(void *at, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t part = size - done < ARCH_PAGE_SIZE ? size - done : ARCH_PAGE_SIZE;
		struct iovec from = {(char *)at + done, part}, to = {(char *)buf + done, part};

		if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != (ssize_t)part)
			break;
		done += part;
	}
	return done;
}

/* A ring of the kernel's own memory can be mapped by whoever has its descriptor. */
static bool read_mapped(int fd, uint64_t offset, void *buf, size_t size, size_t least)
{
	size_t length = (size + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
	void *at = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	size_t done;

	/* Older kernels map no more than there is. */
	if (at == MAP_FAILED && least < size)
		return read_mapped(fd, offset, buf, least, least);
	if (at == MAP_FAILED)
		return false;
	done = copy_mapped(at, buf, size);
	munmap(at, length);
	return done >= least;
}

static bool read_area(const struct task *task, const struct vm_area *a, void *buf, size_t size)
{
	size_t there = a ? a->end - a->start : 0;

	return a && task_read_memory(task, a->start, buf, size < there ? size : there) == 0;
}

/* The array of indices is the last in the rings, and need not be there (IORING_SETUP_NO_SQARRAY). */
static int read_memory(const struct capture *c, const struct file *f, const Rec__IoUring *m,
		       struct error **err)
{
	void *rings = m->rings.data, *entries = m->entries.data;
	size_t rings_size = m->rings.len, entries_size = m->entries.len;

	if (read_mapped(f->own, IORING_OFF_SQ_RING, rings, rings_size, m->offsets[SQ_ARRAY]) &&
	    read_mapped(f->own, IORING_OFF_SQES, entries, entries_size, entries_size))
		return 0;
	vec_each(t, &c->tree.tasks) {
		const struct vm_area *of_entries = NULL;
		const struct vm_area *a = restored_memory(*t, f->st.st_ino, &of_entries);

		if (a && read_area(*t, a, rings, rings_size) &&
		    read_area(*t, of_entries, entries, entries_size))
			return 0;
	}
	return refuse(err, ENOTSUP, RUN_WITHOUT,
		      "descriptor %d is an io_uring whose rings are in memory that the program gave it "
		      "(IORING_SETUP_NO_MMAP), which is not supported", f->fd);
}

/* ---- Obstacles ---- */

static long ring_register(int fd, unsigned int what, void *arg, unsigned int count)
{
	return syscall(SYS_io_uring_register, fd, what, arg, count) < 0 ? -errno : 0;
}

/* Buffers that requests choose from.  Those of a ring have a status; of others: EINVAL. */
static const char *provided(const struct file *f)
{
	struct pbuf_status status = {0};
	bool unknown = true, some = false;

	for (status.group = 0; status.group <= UINT16_MAX && !(unknown && status.group > 1);
	     status.group++) {
		long r = ring_register(f->own, REGISTER_PBUF_STATUS, &status, 1);

		unknown = unknown && r == -EINVAL;
		some = some || r != -ENOENT;
	}
	return unknown ? "may have buffers to choose from, of which this kernel (before 6.8) does not tell"
	       : some  ? "has buffers to choose from (IORING_REGISTER_PBUF_RING)"
		       : NULL;
}

/* Questions whose answers are errors, and which change nothing. */
static const char *registered(const struct file *f)
{
	struct io_uring_probe probe = {0};
	long r = ring_register(f->own, IORING_REGISTER_PROBE, &probe, 0);

	if (r == -EEXIST)
		return "belongs to one thread, and only that may look into it "
		       "(IORING_SETUP_SINGLE_ISSUER)";
	if (r == -EACCES)
		return "has restrictions (IORING_REGISTER_RESTRICTIONS)";
	if (syscall(SYS_io_uring_enter, f->own, 0, 0, 0, NULL, 0) < 0 && errno == EBADFD)
		return "is not enabled yet (IORING_SETUP_R_DISABLED)";
	if (ring_register(f->own, IORING_REGISTER_EVENTFD, NULL, 1) == -EBUSY)
		return "tells an eventfd of its results (IORING_REGISTER_EVENTFD)";
	return provided(f);
}

static void refuse_registered(const struct file *f, struct error **err)
{
	const struct fd_uring *u = &f->info.uring;
	const char *what = u->files	     ? "has registered files"
			   : u->buffers	     ? "has registered buffers"
			   : u->personalities ? "has registered credentials"
			   : u->napi	     ? "polls network devices (IORING_REGISTER_NAPI)"
					     : registered(f);

	if (what)
		refuse(err, ENOTSUP, RUN_WITHOUT,
		       "descriptor %d is an io_uring that %s, which is not supported", f->fd, what);
}

static void refuse_busy(const struct file *f, struct error **err)
{
	const struct fd_uring *u = &f->info.uring;

	if (u->polls || u->submitted != u->completed)
		refuse(err, EBUSY, IDLE_MEND "; or " RUN_WITHOUT,
		       "descriptor %d is an io_uring with requests in flight (it has taken %u and "
		       "given %u results)", f->fd, u->submitted, u->completed);
	else if (u->overflow)
		refuse(err, EBUSY, IDLE_MEND,
		       "descriptor %d is an io_uring with more results than fit in its ring", f->fd);
}

static bool has_mapped(const struct task *task, const struct file *f)
{
	const struct vm_area *entries = area_at(task, f->st.st_ino, RING_LINK, IORING_OFF_SQES);

	if (entries)
		return area_at(task, f->st.st_ino, RING_LINK, IORING_OFF_SQ_RING);
	return restored_memory(task, f->st.st_ino, &entries) && entries;
}

/* Its thread lives in one process, and works in its descriptor table. */
static void find_member(const struct capture *c, const struct file *f, Rec__IoUring *m,
			struct error **err)
{
	unsigned int holders = 0;

	vec_each(t, &c->tree.tasks) {
		cleanup_free char *thread = str_format("task/%d", f->info.uring.sq_thread);
		bool has = false;

		vec_each(s, &(*t)->slots)
			has = has || s->file == f->id;
		holders += has;
		if (has && thread && faccessat((*t)->proc, thread, F_OK, 0) == 0)
			m->member = (uint32_t)(*t)->ns_pid;
		if (has && !has_mapped(*t, f))
			refuse(err, ENOTSUP, RUN_WITHOUT,
			       "descriptor %d is an io_uring with a thread of its own "
			       "(IORING_SETUP_SQPOLL), which process %d has not mapped", f->fd,
			       (*t)->pid);
	}
	if (holders > 1 || !m->member)
		refuse(err, ENOTSUP, RUN_WITHOUT,
		       "descriptor %d is an io_uring with a thread of its own (IORING_SETUP_SQPOLL), "
		       "which several processes share", f->fd);
}

/* ---- The records ---- */

/* Where a kernel has what in a ring of these sizes: a new one tells. */
static int learn_offsets(const struct file *f, Rec__IoUring *m, struct error **err)
{
	struct io_uring_params p;
	int fd = ring_setup(m->sq_entries, m->cq_entries, m->setup & ~IORING_SETUP_SQPOLL, &p, NULL,
			    NULL);

	if (fd < 0)
		return refuse(err, -fd, RUN_WITHOUT,
			      "descriptor %d is an io_uring, and we may not make one to compare: %s",
			      f->fd, strerror(-fd));
	close(fd);
	m->offsets = calloc(RING_OFFSETS, sizeof *m->offsets);
	if (!m->offsets)
		return fail(err, ENOMEM, "out of memory");
	m->n_offsets = RING_OFFSETS;
	ring_offsets(&p, m->offsets);
	return 0;
}

static int fill_memory(const struct capture *c, const struct file *f, Rec__IoUring *m,
		       struct error **err)
{
	m->rings.len = ring_rings_size(m->offsets, m->sq_entries, m->cq_entries, m->setup);
	m->entries.len = ring_entries_size(m->sq_entries, m->setup);
	m->rings.data = calloc(1, m->rings.len);
	m->entries.data = calloc(1, m->entries.len);
	if (!m->rings.data || !m->entries.data)
		return fail(err, ENOMEM, "out of memory");
	return read_memory(c, f, m, err);
}

/* Result number i of all that the ring has given. */
static const struct io_uring_cqe *result(const Rec__IoUring *m, uint32_t i)
{
	size_t size = sizeof(struct io_uring_cqe) << !!(m->setup & IORING_SETUP_CQE32);

	return (const void *)(m->rings.data + m->offsets[CQ_CQES] +
			      (i & (m->cq_entries - 1)) * size);
}

static bool is_unfinished(const Rec__IoUring *m, uint32_t i)
{
	const struct io_uring_cqe *cqe = result(m, i);

	if (!(cqe->flags & IORING_CQE_F_MORE))
		return false;
	while (++i != m->requests) {
		const struct io_uring_cqe *later = result(m, i);

		if (later->user_data == cqe->user_data && !(later->flags & IORING_CQE_F_MORE))
			return false;
	}
	return true;
}

/* A request that gives many results is one that has given its first one, by the numbers. */
static int refuse_unfinished(const struct file *f, const Rec__IoUring *m, struct error **err)
{
	uint32_t known = m->requests < m->cq_entries ? m->requests : m->cq_entries;

	for (uint32_t i = m->requests - known; i != m->requests; i++)
		if (is_unfinished(m, i))
			return refuse(err, EBUSY, IDLE_MEND "; or " RUN_WITHOUT,
				      "descriptor %d is an io_uring with requests in flight, of which "
				      "more results come (IORING_CQE_F_MORE)", f->fd);
	return 0;
}

static bool is_used(const unsigned char *mapped, size_t from, size_t to)
{
	unsigned char bytes[ARCH_PAGE_SIZE];
	size_t start = from & ~(ARCH_PAGE_SIZE - 1);

	if (!copy_mapped((void *)(mapped + start), bytes, sizeof bytes))
		return false;
	for (size_t i = from; i < to; i++)
		if (bytes[i - start])
			return true;
	return false;
}

/*
 * Whether requests and results have twice their size shows where that takes more pages, and in
 * the last page when something is behind where the others would end.  Of a restored one
 * it was written down.
 */
static uint32_t learn_sizes(const struct capture *c, const struct file *f, uint32_t sq, uint32_t cq)
{
	unsigned char byte;
	uint32_t setup = 0;
	size_t plain = 64 + (size_t)cq * sizeof(struct io_uring_cqe) + sq * sizeof(uint32_t);
	const struct {
		uint64_t offset;
		size_t size;
		uint32_t flag;
	} sizes[] = {
		{IORING_OFF_SQES, sq * sizeof(struct io_uring_sqe), IORING_SETUP_SQE128},
		{IORING_OFF_SQ_RING, plain, IORING_SETUP_CQE32},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t page = (sizes[i].size + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
		void *at = mmap(NULL, page + ARCH_PAGE_SIZE, PROT_READ, MAP_SHARED, f->own,
				(off_t)sizes[i].offset);

		if (at == MAP_FAILED)
			continue;
		if (copy_mapped((char *)at + page, &byte, 1) || is_used(at, sizes[i].size, page))
			setup |= sizes[i].flag;
		munmap(at, page + ARCH_PAGE_SIZE);
	}
	vec_each(t, &c->tree.tasks) {
		const struct vm_area *entries, *a = restored_memory(*t, f->st.st_ino, &entries);

		if (a)
			setup |= marked(*t, a).setup & RING_SETUP_KEPT & ~IORING_SETUP_SQPOLL;
	}
	return setup;
}

/* Is it what it was when it was looked at? */
static bool is_same_slot(const struct capture *c, const struct task *task, const struct slot *s)
{
	const struct file *f = file_by_id(&c->files, s->file);
	cleanup_free char *name = str_format("fdinfo/%d", s->fd), *text = NULL;
	struct fdinfo info cleanup_fdinfo = {0};
	ssize_t n = name ? task_slurp(task, name, &text) : -ENOMEM;

	if (!f || n < 0 || fdinfo_parse(text, (size_t)n, &info) < 0)
		return false;
	return syscall(SYS_kcmp, getpid(), task->pid, KCMP_FILE, f->own, s->fd) == 0 &&
	       info.pos == f->info.pos && !((info.flags ^ f->info.flags) & ~(uint32_t)O_CLOEXEC) &&
	       info.eventfd_count == f->info.eventfd_count &&
	       info.uring.submitted == f->info.uring.submitted &&
	       info.uring.completed == f->info.uring.completed;
}

static size_t count_descriptors(const struct task *task)
{
	int fd = openat(task->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t n = 0;

	if (!dir) {
		close_fdp(&fd);
		return 0;
	}
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

/*
 * The kernel does not stop what a ring does when the program is stopped: it may have opened,
 * closed and read while descriptors were looked at, before the ring itself was.
 */
static int refuse_changed(const struct capture *c, const struct file *f, const Rec__IoUring *m,
			  struct error **err)
{
	const uint32_t *tail = (const uint32_t *)(const void *)(m->rings.data + m->offsets[SQ_TAIL]);
	bool same = !(m->setup & IORING_SETUP_SQPOLL) || *tail == m->requests;

	vec_each(t, &c->tree.tasks) {
		bool has = false;

		vec_each(s, &(*t)->slots)
			has = has || s->file == f->id;
		if (!has || !same)
			continue;
		same = count_descriptors(*t) == (*t)->slots.count;
		vec_each(s, &(*t)->slots)
			same = same && is_same_slot(c, *t, s);
	}
	return same ? 0
		    : refuse(err, EBUSY, IDLE_MEND "; or " RUN_WITHOUT,
			     "descriptor %d is an io_uring with requests in flight, which changed "
			     "descriptors while they were looked at", f->fd);
}

static int fill_ring(const struct capture *c, const struct file *f, Rec__IoUring *m,
		     struct error **err)
{
	const struct fd_uring *u = &f->info.uring;
	struct error *found = NULL;
	int r;

	if (!(f->info.lines & FDINFO_IO_URING_COUNTS))
		return refuse(err, ENOTSUP, RUN_WITHOUT,
			      "descriptor %d is an io_uring, and this kernel does not tell whether "
			      "it is idle", f->fd);
	m->sq_entries = u->sq_mask + 1;
	m->cq_entries = u->cq_mask + 1;
	m->setup = learn_sizes(c, f, m->sq_entries, m->cq_entries);
	m->requests = u->submitted;
	refuse_busy(f, &found);
	refuse_registered(f, &found);
	if (u->sq_thread > 0) {
		m->setup |= IORING_SETUP_SQPOLL;
		find_member(c, f, m, &found);
	}
	r = found ? -error_errno(found) : 0;
	error_merge(err, &found);
	if (r == 0)
		r = learn_offsets(f, m, err);
	if (r == 0)
		r = fill_memory(c, f, m, err);
	if (r == 0)
		r = refuse_changed(c, f, m, err);
	return r == 0 ? refuse_unfinished(f, m, err) : r;
}

/* Memory that was mapped: of which ring it is. */
static int fill_of(const struct capture *c, const struct file *f, Rec__IoUring *m,
		   struct error **err)
{
	uint64_t inode = f->st.st_ino;
	bool apart = false;

	if (!strcmp(f->link, RING_MEMORY_LINK)) {
		const struct vm_area *a = area_at(f->task, inode, f->link, 0);

		inode = a ? marked(f->task, a).inode : 0;
	}
	vec_each(it, &c->files.files)
		if (is_ring(*it) && (*it)->st.st_ino == inode)
			m->of = (*it)->id;
	vec_each(t, &c->tree.tasks)
		apart = apart || area_at(*t, f->st.st_ino, f->link, IORING_OFF_CQ_RING);
	if (!m->of)
		return refuse(err, ENOTSUP, RUN_WITHOUT,
			      "the mapping at 0x%" PRIx64 " is memory of an io_uring that the program "
			      "has no descriptor of", f->area->start);
	if (apart)
		return refuse(err, ENOTSUP, RUN_WITHOUT,
			      "the mapping at 0x%" PRIx64 " is memory of an io_uring whose two queues "
			      "are mapped apart, which is not supported", f->area->start);
	return 0;
}

static int io_uring_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			    struct error **err)
{
	Rec__IoUring *m = kind_message(&kind_io_uring);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	r = f->fd >= 0 ? fill_ring(c, f, m, err) : fill_of(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

static bool is_size(uint32_t n, uint32_t max)
{
	return n && n <= max && !(n & (n - 1));
}

static int io_uring_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__IoUring *m = (const Rec__IoUring *)base;
	size_t results_end;

	if (m->of)
		return 0;
	if (!is_size(m->sq_entries, RING_ENTRIES_MAX) || !is_size(m->cq_entries, 2 * RING_ENTRIES_MAX) ||
	    (m->setup & ~RING_SETUP_KEPT) || m->n_offsets != RING_OFFSETS ||
	    m->member > INT32_MAX || !(m->setup & IORING_SETUP_SQPOLL) != !m->member)
		return fail(err, EINVAL, "an impossible io_uring");
	results_end = m->offsets[CQ_CQES] +
		      ((size_t)m->cq_entries * sizeof(struct io_uring_cqe)
		       << !!(m->setup & IORING_SETUP_CQE32));
	for (size_t i = 0; i < RING_OFFSETS; i++)
		if (m->offsets[i] > m->rings.len || m->rings.len - m->offsets[i] < sizeof(uint32_t) ||
		    m->offsets[i] % sizeof(uint32_t))
			return fail(err, EINVAL, "an io_uring with an impossible layout");
	if (m->offsets[SQ_ARRAY] < results_end ||
	    m->rings.len != ring_rings_size(m->offsets, m->sq_entries, m->cq_entries, m->setup) ||
	    m->entries.len != ring_entries_size(m->sq_entries, m->setup))
		return fail(err, EINVAL, "an io_uring with memory of another size");
	return 0;
}

static uint32_t io_uring_settler(const ProtobufCMessage *base)
{
	return ((const Rec__IoUring *)base)->member;
}

const struct kind kind_io_uring = {
	.name = "io_uring",
	.tag = 161,
	.schema = &rec__io_uring__descriptor,
	.file = &(const struct file_ops){
		.claims = io_uring_claims,
		.stays = true,
		.capture = io_uring_capture,
		.validate = io_uring_validate,
		.check = io_uring_check,
		.open = io_uring_open,
		.settle = io_uring_settle,
		.settler = io_uring_settler,
	},
};

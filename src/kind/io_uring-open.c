/*
 * io_uring(7): making a ring again.
 *
 * The kernel's own memory cannot be mapped where the program had it.  A ring can be made in
 * memory that is given to it (IORING_SETUP_NO_MMAP), so it is made in a memfd, which the
 * program then maps as it had mapped the ring.  The kernel counts requests from 0, the
 * program does not: so as many requests are made that do nothing.
 */
#include "kind/io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "task/description.h"

/* Milliseconds that its thread stays awake without work; the kernel's 1000 burn a processor. */
#define THREAD_IDLE 10
/* Seconds within which a thread does some of its work. */
#define PATIENCE 10

static size_t pages(size_t size)
{
	return (size + ARCH_PAGE_SIZE - 1) & ~(ARCH_PAGE_SIZE - 1);
}

size_t ring_rings_size(const uint32_t offsets[RING_OFFSETS], uint32_t sq, uint32_t cq, uint32_t setup)
{
	size_t result = sizeof(struct io_uring_cqe) << !!(setup & IORING_SETUP_CQE32);
	size_t results_end = offsets[CQ_CQES] + cq * result;
	size_t array_end = offsets[SQ_ARRAY] + sq * sizeof(uint32_t);

	return array_end > results_end ? array_end : results_end;
}

size_t ring_entries_size(uint32_t sq, uint32_t setup)
{
	return (size_t)sq * (sizeof(struct io_uring_sqe) << !!(setup & IORING_SETUP_SQE128));
}

/* Where the address of memory stands: user_addr, which is the last word of both. */
static uint64_t *user_address(void *offsets, size_t size)
{
	return (uint64_t *)((char *)offsets + size) - 1;
}

static void fill_params(struct io_uring_params *p, uint32_t cq, uint32_t setup, uint64_t rings,
			uint64_t entries)
{
	*p = (struct io_uring_params){.flags = setup | IORING_SETUP_CQSIZE, .cq_entries = cq};
	if (setup & IORING_SETUP_SQPOLL)
		p->sq_thread_idle = THREAD_IDLE;
	*user_address(&p->cq_off, sizeof p->cq_off) = rings;
	*user_address(&p->sq_off, sizeof p->sq_off) = entries;
}

int ring_setup(uint32_t sq, uint32_t cq, uint32_t setup, struct io_uring_params *p, void *rings,
	       void *entries)
{
	int fd;

	fill_params(p, cq, setup | (rings ? IORING_SETUP_NO_MMAP : 0), (uintptr_t)rings,
		    (uintptr_t)entries);
	fd = (int)syscall(SYS_io_uring_setup, sq, p);
	return fd < 0 ? -errno : fd;
}

void ring_offsets(const struct io_uring_params *p, uint32_t ret[RING_OFFSETS])
{
	memcpy(&ret[SQ_HEAD], &p->sq_off, 7 * sizeof *ret);
	memcpy(&ret[CQ_HEAD], &p->cq_off, 7 * sizeof *ret);
}

/*
 * Programs that use the array of indices write it before each request or once and for
 * all; an empty one means that there is none, or that it does not matter.
 */
static bool has_array(const Rec__IoUring *m)
{
	for (size_t i = m->offsets[SQ_ARRAY]; i < m->rings.len; i++)
		if (m->rings.data[i])
			return true;
	return false;
}

static uint32_t setup_of(const Rec__IoUring *m)
{
	return m->setup | IORING_SETUP_NO_MMAP | (has_array(m) ? 0 : IORING_SETUP_NO_SQARRAY);
}

/* What the kernel takes of the memory for its rings. */
static size_t kernel_size(const Rec__IoUring *m)
{
	return has_array(m) ? m->rings.len : m->offsets[SQ_ARRAY];
}

/* ---- The memory, while we have it mapped ---- */

struct ring {
	const Rec__IoUring *m;
	int fd;
	unsigned char *rings, *entries;
};

static uint32_t *word(const struct ring *ring, enum ring_offset which)
{
	return (uint32_t *)(void *)(ring->rings + ring->m->offsets[which]);
}

static uint32_t load(const struct ring *ring, enum ring_offset which)
{
	return __atomic_load_n(word(ring, which), __ATOMIC_ACQUIRE);
}

static void store(const struct ring *ring, enum ring_offset which, uint32_t value)
{
	__atomic_store_n(word(ring, which), value, __ATOMIC_RELEASE);
}

static int map_memory(struct ring *ring, int memory, struct error **err)
{
	ring->rings = mmap(NULL, pages(ring->m->rings.len), PROT_READ | PROT_WRITE, MAP_SHARED,
			   memory, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, pages(ring->m->entries.len), PROT_READ | PROT_WRITE, MAP_SHARED,
			     memory, IORING_OFF_SQES);
	return ring->rings == MAP_FAILED || ring->entries == MAP_FAILED
		       ? fail(err, ENOMEM, "cannot map the memory of an io_uring")
		       : 0;
}

static void unmap_memory(struct ring *ring)
{
	if (ring->rings && ring->rings != MAP_FAILED)
		munmap(ring->rings, pages(ring->m->rings.len));
	if (ring->entries && ring->entries != MAP_FAILED)
		munmap(ring->entries, pages(ring->m->entries.len));
}
#define cleanup_ring __attribute__((cleanup(unmap_memory)))

/* The memfd of a ring, made when it is first asked for: where all stands as in the ring itself. */
static int memory_of(struct rebuild *r, const Rec__IoUring *m, struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_io_uring.tag, m->file->id);

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	if (s->fds[0] >= 0)
		return s->fds[0];
	s->fds[0] = memfd_create(RING_MEMORY, MFD_CLOEXEC);
	if (s->fds[0] < 0 ||
	    ftruncate(s->fds[0], (off_t)(IORING_OFF_SQES + pages(m->entries.len))) < 0)
		return fail_errno(err, errno, "cannot make the memory of an io_uring");
	return s->fds[0];
}

/* ---- Catching up with the count ---- */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

/* Its thread takes what it is given, when it is awake. */
static int wait_for_thread(const struct ring *ring, uint32_t want)
{
	uint64_t end = now() + PATIENCE;

	while (load(ring, CQ_TAIL) != want) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if ((load(ring, SQ_FLAGS) & IORING_SQ_NEED_WAKEUP) &&
		    syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0)
			return -errno;
		if (now() > end)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

/* So many requests that do nothing: memory full of zeros is such. */
static int do_nothing(const struct ring *ring, uint32_t done, uint32_t count)
{
	store(ring, SQ_TAIL, done + count);
	if (ring->m->setup & IORING_SETUP_SQPOLL)
		return wait_for_thread(ring, done + count);
	for (uint32_t taken = 0; taken < count;) {
		long n = syscall(SYS_io_uring_enter, ring->fd, count - taken, 0, 0, NULL, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			taken += (uint32_t)n;
	}
	return load(ring, CQ_TAIL) == done + count ? 0 : -EIO;
}

static int catch_up(const struct ring *ring, struct error **err)
{
	const Rec__IoUring *m = ring->m;
	uint32_t most = m->sq_entries < m->cq_entries ? m->sq_entries : m->cq_entries, count;

	if (has_array(m))
		for (uint32_t i = 0; i < m->sq_entries; i++)
			word(ring, SQ_ARRAY)[i] = i;
	for (uint32_t done = 0; done != m->requests; done += count) {
		int res;

		count = m->requests - done < most ? m->requests - done : most;
		res = do_nothing(ring, done, count);
		if (res < 0)
			return fail_errno(err, -res, "an io_uring does not do what it is told");
		store(ring, CQ_HEAD, done + count);
	}
	return 0;
}

/*
 * What the program had in it, but for what the kernel alone writes: its thread says in SQ_FLAGS, at any
 * moment, that it has gone to sleep, and who wrote over that would leave it asleep.
 */
static int fill_memory(const struct ring *ring, struct error **err)
{
	const Rec__IoUring *m = ring->m;
	struct ring_mark mark = {RING_MARK_MAGIC, 0, m->setup, 0};
	struct stat st;

	if (fstat(ring->fd, &st) < 0)
		return fail_errno(err, errno, "cannot look at an io_uring");
	mark.inode = st.st_ino;
	memcpy(ring->entries, m->entries.data, m->entries.len);
	memcpy(ring->rings + m->offsets[CQ_CQES], m->rings.data + m->offsets[CQ_CQES],
	       kernel_size(m) - m->offsets[CQ_CQES]);
	store(ring, CQ_FLAGS, *(uint32_t *)(void *)(m->rings.data + m->offsets[CQ_FLAGS]));
	store(ring, CQ_HEAD, *(uint32_t *)(void *)(m->rings.data + m->offsets[CQ_HEAD]));
	/* Prepared requests are its own to submit; last, for its thread would take them. */
	store(ring, SQ_TAIL, *(uint32_t *)(void *)(m->rings.data + m->offsets[SQ_TAIL]));
	if (pages(kernel_size(m)) - kernel_size(m) >= sizeof mark)
		memcpy(ring->rings + pages(kernel_size(m)) - sizeof mark, &mark, sizeof mark);
	return 0;
}

/* The program knows by heart where in the memory what is. */
static int compare_layout(const Rec__IoUring *m, const struct io_uring_params *p, struct error **err)
{
	uint32_t offsets[RING_OFFSETS];

	ring_offsets(p, offsets);
	for (size_t i = 0; i < RING_OFFSETS; i++)
		if (offsets[i] != m->offsets[i] && (i != SQ_ARRAY || has_array(m)))
			return fail(err, ENOTSUP, "this kernel arranges an io_uring in another way");
	if (p->sq_entries != m->sq_entries || p->cq_entries != m->cq_entries)
		return fail(err, ENOTSUP, "this kernel makes an io_uring of another size");
	return 0;
}

/* ---- The hooks ---- */

static const Rec__IoUring *ring_of(const struct rebuild *r, const Rec__IoUring *m)
{
	const struct rebuilt_file *f = rebuilt_file(r, m->of);
	const Rec__IoUring *ring = f && f->kind == &kind_io_uring ? (const Rec__IoUring *)f->message : NULL;

	return ring && !ring->of ? ring : NULL;
}

int io_uring_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err)
{
	const Rec__IoUring *m = (const Rec__IoUring *)base;
	struct io_uring_params p;
	size_t entries;
	char *memory;
	int fd;

	if (m->of)
		return ring_of(r, m) ? 0 : refuse(err, EINVAL, NULL, "memory of an io_uring that the "
								     "image does not have");
	if (m->member && !rebuilt_task(r, m->member))
		return refuse(err, EINVAL, NULL, "an io_uring of a process that the image does not have");
	entries = pages(m->entries.len);
	memory = mmap(NULL, entries + pages(m->rings.len), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return fail(err, ENOMEM, "out of memory");
	fd = ring_setup(m->sq_entries, m->cq_entries, setup_of(m), &p, memory + entries, memory);
	munmap(memory, entries + pages(m->rings.len));
	if (fd >= 0) {
		close(fd);
		return compare_layout(m, &p, err);
	}
	return refuse(err, -fd,
		      fd == -EINVAL ? "use Linux 6.10 or later (6.6 for rings within a page)"
		      : fd == -ENOMEM ? "raise the limit of locked memory (RLIMIT_MEMLOCK)"
				      : "sysctl kernel.io_uring_disabled=0",
		      "the program has an io_uring, which cannot be made here: %s", strerror(-fd));
}

static int open_ring(struct rebuild *r, const Rec__IoUring *m, struct error **err)
{
	struct ring ring cleanup_ring = {.m = m, .fd = -1};
	cleanup_close int fd = -1;
	struct io_uring_params p;
	int memory = memory_of(r, m, err), res;

	if (memory < 0)
		return memory;
	res = map_memory(&ring, memory, err);
	if (res < 0)
		return res;
	fd = ring_setup(m->sq_entries, m->cq_entries, setup_of(m), &p, ring.rings, ring.entries);
	if (fd < 0)
		return fail_errno(err, -fd, "cannot make an io_uring");
	ring.fd = fd;
	res = compare_layout(m, &p, err);
	if (res == 0)
		res = catch_up(&ring, err);
	if (res == 0)
		res = fill_memory(&ring, err);
	return res < 0 ? res : fd_steal(&fd);
}

static int open_memory(struct rebuild *r, const Rec__IoUring *m, struct error **err)
{
	int memory = memory_of(r, ring_of(r, m), err), fd;

	if (memory < 0)
		return memory;
	fd = fcntl(memory, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? fail_errno(err, errno, "cannot keep the memory of an io_uring") : fd;
}

/* A ring's thread is to be one of the program: this keeps its numbers until then. */
static int open_placeholder(struct error **err)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? fail_errno(err, errno, "cannot make an eventfd") : fd;
}

int io_uring_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__IoUring *m = (const Rec__IoUring *)f->message;
	int fd, res;

	if (m->of)
		return open_memory(r, m, err);
	fd = m->setup & IORING_SETUP_SQPOLL ? open_placeholder(err) : open_ring(r, m, err);
	if (fd < 0)
		return fd;
	f->fd = fd;
	res = description_set_status(fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
	return res < 0 ? res : fd;
}

/* ---- A ring with a thread, which its process makes itself ---- */

/* Where the process has the rings (or the requests) mapped, and by way of which file; 0: nowhere. */
static uint64_t place_of(const struct rebuild *r, const struct rebuilt_task *t,
			 const Rec__IoUring *m, uint64_t offset, size_t size,
			 const struct rebuilt_file **ret_memory)
{
	const Rec__Memory *memory = rebuilt_memory(t);

	for (size_t i = 0; memory && i < memory->n_areas; i++) {
		const Rec__Area *a = memory->areas[i];
		const struct rebuilt_file *f = a->file ? rebuilt_file(r, a->file) : NULL;

		if (!f || f->kind != &kind_io_uring || a->offset != offset ||
		    a->end - a->start < size || (a->flags & MAP_TYPE) != MAP_SHARED ||
		    ((const Rec__IoUring *)f->message)->of != m->file->id)
			continue;
		*ret_memory = f;
		return a->start;
	}
	return 0;
}

static int make_in_task(const struct rebuild *r, const struct rebuilt_task *t, const Rec__IoUring *m,
			const struct rebuilt_file **ret_memory, struct batch *b, struct error **err)
{
	uint64_t rings = place_of(r, t, m, IORING_OFF_SQ_RING, kernel_size(m), ret_memory);
	uint64_t entries = place_of(r, t, m, IORING_OFF_SQES, m->entries.len, ret_memory);
	struct io_uring_params p;
	uint32_t ring, entry;

	if (!rings || !entries)
		return fail(err, EINVAL, "an io_uring with a thread that the program has not mapped");
	fill_params(&p, m->cq_entries, setup_of(m), rings, entries);
	ring = batch_call(b, 0, SYS_io_uring_setup, m->sq_entries, batch_put(b, &p, sizeof p));
	entry = batch_call(b, 0, SYS_fcntl, 0, F_SETFL, m->file->flags & O_NONBLOCK);
	batch_refer(b, entry, 0, ring);
	for (size_t i = 0; i < t->record->n_slots; i++) {
		const Rec__Slot *slot = t->record->slots[i];

		if (slot->file != m->file->id)
			continue;
		entry = batch_call(b, 0, SYS_dup3, 0, slot->fd, slot->cloexec ? O_CLOEXEC : 0);
		batch_refer(b, entry, 0, ring);
	}
	entry = batch_call(b, 0, SYS_close, 0);
	batch_refer(b, entry, 0, ring);
	return 0;
}

static int finish_outside(const struct rebuilt_task *t, const Rec__IoUring *m, int number,
			  int memory, struct error **err)
{
	struct ring ring cleanup_ring = {.m = m};
	cleanup_close int process = (int)syscall(SYS_pidfd_open, t->pid, 0);
	cleanup_close int fd = process < 0 ? -1
					   : (int)syscall(SYS_pidfd_getfd, process, number, 0);
	int res;

	if (fd < 0)
		return fail_errno(err, errno, "cannot get hold of an io_uring");
	ring.fd = fd;
	res = map_memory(&ring, memory, err);
	if (res == 0)
		res = catch_up(&ring, err);
	return res == 0 ? fill_memory(&ring, err) : res;
}

int io_uring_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *base, int fd,
		    struct batch *b, struct error **err)
{
	const Rec__IoUring *m = (const Rec__IoUring *)base;
	const struct rebuilt_file *memory = NULL;
	int res;

	if (!(m->setup & IORING_SETUP_SQPOLL))
		return 0;
	if (t->settled++ == 0) {
		res = make_in_task(r, t, m, &memory, b, err);
		return res < 0 ? res : 1;
	}
	return place_of(r, t, m, IORING_OFF_SQ_RING, kernel_size(m), &memory)
		       ? finish_outside(t, m, fd, memory->fd, err)
		       : -EINVAL; /* said the first time */
}

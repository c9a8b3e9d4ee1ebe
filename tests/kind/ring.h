/* A ring of io_uring without a library. */
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "check.h"

#define ENTRIES 64

struct ring {
	int fd;
	struct io_uring_params p;
	char *rings;
	struct io_uring_sqe *sqes;
};

static inline unsigned int *ring_word(const struct ring *r, unsigned int offset)
{
	return (unsigned int *)(void *)(r->rings + offset);
}

static inline struct ring ring_make(unsigned int flags)
{
	struct ring r = {.p.flags = flags};

	r.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r.p);
	if (r.fd < 0)
		SKIP("io_uring is not permitted here: %s", strerror(errno));
	r.rings = mmap(NULL, r.p.sq_off.array + ENTRIES * sizeof(unsigned int),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQ_RING);
	r.sqes = mmap(NULL, ENTRIES * sizeof *r.sqes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQES);
	CHECK(r.rings != MAP_FAILED && r.sqes != MAP_FAILED);
	return r;
}

/* Where the kernel tells enough of a ring (Linux 6.8) to save it. */
static inline void ring_need_support(void)
{
	unsigned int status[10] = {0}; /* struct io_uring_buf_status */
	struct ring r = ring_make(0);

	if (syscall(SYS_io_uring_register, r.fd, 26 /* IORING_REGISTER_PBUF_STATUS */, status, 1) != -1 ||
	    errno != ENOENT)
		SKIP("this kernel does not tell enough of an io_uring");
	CHECK(munmap(r.rings, r.p.sq_off.array + ENTRIES * sizeof(unsigned int)) == 0);
	CHECK(munmap(r.sqes, ENTRIES * sizeof *r.sqes) == 0);
	CHECK(close(r.fd) == 0);
}

static inline void ring_prepare(const struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring_word(r, r->p.sq_off.tail), index = tail & (ENTRIES - 1);

	r->sqes[index] = *sqe;
	ring_word(r, r->p.sq_off.array)[index] = index;
	__atomic_store_n(ring_word(r, r->p.sq_off.tail), tail + 1, __ATOMIC_SEQ_CST);
}

static inline void ring_prepare_nop(const struct ring *r, unsigned long data)
{
	const struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .user_data = data};

	ring_prepare(r, &sqe);
}

/* And waits for as many results. */
static inline void ring_submit(const struct ring *r, unsigned int count)
{
	unsigned int flags = IORING_ENTER_GETEVENTS;

	if (*ring_word(r, r->p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
		flags |= IORING_ENTER_SQ_WAKEUP;
	CHECK_EQ(syscall(SYS_io_uring_enter, r->fd, count, count, flags, NULL, 0), count);
}

/* The next result, which must be there. */
static inline int ring_take(const struct ring *r, unsigned long data)
{
	unsigned int head = *ring_word(r, r->p.cq_off.head);
	const struct io_uring_cqe *cqe;

	CHECK(__atomic_load_n(ring_word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE) != head);
	cqe = (struct io_uring_cqe *)(void *)(r->rings + r->p.cq_off.cqes) +
	      (head & (r->p.cq_entries - 1));
	CHECK_EQ(cqe->user_data, data);
	__atomic_store_n(ring_word(r, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return cqe->res;
}

static inline void ring_use(const struct ring *r, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		ring_prepare_nop(r, i);
		ring_submit(r, 1);
		CHECK_EQ(ring_take(r, i), 0);
	}
}

static inline void ring_check_empty(const struct ring *r)
{
	CHECK_EQ(*ring_word(r, r->p.cq_off.head), *ring_word(r, r->p.cq_off.tail));
}

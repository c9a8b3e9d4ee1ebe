/* What io_uring.c (capture) and io_uring-open.c (restore) share. */
#pragma once

#include <linux/io_uring.h>

#include "kind/kind.h"

extern const struct kind kind_io_uring;

/* What older headers lack. */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14) /* Linux 6.5 */
#endif
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* Linux 6.6 */
#endif

#define RING_LINK "anon_inode:[io_uring]"
/* Memory of a restored ring: a memfd of this name, in which all stands where the kernel would map it. */
#define RING_MEMORY "[io_uring]"
#define RING_MEMORY_LINK "/memfd:" RING_MEMORY

#define RING_SETUP_KEPT ((uint32_t)(IORING_SETUP_SQPOLL | IORING_SETUP_SQE128 | IORING_SETUP_CQE32))
#define RING_ENTRIES_MAX 32768u

/* Places in the rings' memory, in the order of IoUring.offsets. */
enum ring_offset {
	SQ_HEAD, SQ_TAIL, SQ_MASK, SQ_ENTRIES, SQ_FLAGS, SQ_DROPPED, SQ_ARRAY,
	CQ_HEAD, CQ_TAIL, CQ_MASK, CQ_ENTRIES, CQ_OVERFLOW, CQ_CQES, CQ_FLAGS,
	RING_OFFSETS,
};

/*
 * At the end of the last page of a restored ring's memory, where nothing else is: which ring
 * it belongs to.  The kernel does not tell of memory that was given to it, and the ring may
 * be captured again.
 */
struct ring_mark {
	uint64_t magic;
	uint64_t inode; /* of the ring */
	uint32_t setup, zero;
};
#define RING_MARK_MAGIC UINT64_C(0x676e697220666f21)

size_t ring_rings_size(const uint32_t offsets[RING_OFFSETS], uint32_t sq, uint32_t cq, uint32_t setup);
size_t ring_entries_size(uint32_t sq, uint32_t setup);
/* io_uring_setup(2) in memory of ours: NULL: the kernel's own.  The ring's descriptor, or -errno. */
int ring_setup(uint32_t sq, uint32_t cq, uint32_t setup, struct io_uring_params *p, void *rings,
	       void *entries);
void ring_offsets(const struct io_uring_params *p, uint32_t ret[RING_OFFSETS]);

int io_uring_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err);
int io_uring_open(struct rebuild *r, struct rebuilt_file *f, struct error **err);
int io_uring_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *base, int fd,
		    struct batch *b, struct error **err);

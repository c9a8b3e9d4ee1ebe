/* EXPECT-REFUSAL: of which more results come */
/* EXPECT-REFUSAL: buffers to choose from */
/*
 * A request that has given its first result and goes on (a timeout that repeats): as many were
 * given as were taken.  And a ring with buffers that requests may choose from.
 */
#include <linux/time_types.h>

#include "ring.h"

#ifndef IORING_TIMEOUT_MULTISHOT
#define IORING_TIMEOUT_MULTISHOT (1U << 6)
#endif

/* A timeout that has fired once, and does so again in ten minutes. */
static void repeat(const struct ring *r)
{
	struct __kernel_timespec soon = {.tv_nsec = 300000000}, late = {.tv_sec = 600};
	struct io_uring_sqe start = {.opcode = IORING_OP_TIMEOUT, .user_data = 5, .len = 1,
				     .addr = (unsigned long)&soon,
				     .timeout_flags = IORING_TIMEOUT_MULTISHOT};
	struct io_uring_sqe delay = {.opcode = IORING_OP_TIMEOUT_REMOVE, .user_data = 6, .addr = 5,
				     .addr2 = (unsigned long)&late,
				     .timeout_flags = IORING_TIMEOUT_UPDATE};

	ring_prepare(r, &start);
	ring_submit(r, 1);
	CHECK_EQ(ring_take(r, 5), -ETIME);
	ring_prepare(r, &delay);
	ring_submit(r, 1);
	CHECK_EQ(ring_take(r, 6), 0);
	ring_check_empty(r);
}

int main(void)
{
	struct ring ring = ring_make(0), chooses = ring_make(0);
	static char buffers[4][64];
	struct io_uring_sqe provide = {.opcode = IORING_OP_PROVIDE_BUFFERS, .fd = 4, .len = 64,
				       .addr = (unsigned long)buffers};

	ring_need_support();
	ring_use(&ring, 3);
	repeat(&ring);
	ring_prepare(&chooses, &provide);
	ring_submit(&chooses, 1);
	CHECK(ring_take(&chooses, 0) >= 0);

	test_ready();

	ring_use(&ring, 3);
	ring_use(&chooses, 3);
	test_passed();
}

/*
 * Idle io_urings: one that was used beyond the end of its queues, with results that were not
 * taken and a request that is prepared; and one that was never used.
 */
#include "ring.h"

int main(void)
{
	struct ring used = ring_make(0), fresh = ring_make(0);
	int copy = fcntl(used.fd, F_DUPFD_CLOEXEC, 100), fd;
	struct io_uring_sqe write_it = {.opcode = IORING_OP_WRITE, .user_data = 77};

	ring_need_support();
	ring_use(&used, 1000);
	ring_prepare_nop(&used, 1001);
	ring_prepare_nop(&used, 1002);
	ring_submit(&used, 2);
	ring_prepare_nop(&used, 1003);

	test_ready();

	CHECK_EQ(*ring_word(&used, used.p.sq_off.tail), 1003);
	CHECK_EQ(ring_take(&used, 1001), 0);
	CHECK_EQ(ring_take(&used, 1002), 0);
	ring_check_empty(&used);
	ring_submit(&used, 1);
	CHECK_EQ(ring_take(&used, 1003), 0);
	fd = open("written", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	write_it.fd = fd;
	write_it.addr = (unsigned long)"hello";
	write_it.len = 5;
	ring_prepare(&used, &write_it);
	ring_submit(&used, 1);
	CHECK_EQ(ring_take(&used, 77), 5);
	ring_check_empty(&used);
	ring_use(&fresh, 3L * ENTRIES);
	CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
	used.fd = copy;
	ring_use(&used, 5);
	CHECK(munmap(fresh.sqes, ENTRIES * sizeof *fresh.sqes) == 0 && close(fresh.fd) == 0);
	test_passed();
}

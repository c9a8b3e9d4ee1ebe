/* EXPECT-REFUSAL: io_uring with requests in flight */
/* A ring of io_uring with a request under way: to wait for a pipe. */
#include <poll.h>

#include "ring.h"

int main(void)
{
	struct ring ring = ring_make(0);
	struct io_uring_sqe wait = {.opcode = IORING_OP_POLL_ADD, .poll_events = POLLIN, .user_data = 3};
	int gate[2];

	CHECK(pipe(gate) == 0);
	wait.fd = gate[0];
	ring_use(&ring, 3);
	ring_prepare(&ring, &wait);
	CHECK_EQ(syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0), 1);

	test_ready();

	CHECK_EQ(write(gate[1], "x", 1), 1);
	CHECK_EQ(syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	CHECK_EQ(ring_take(&ring, 3), POLLIN);
	test_passed();
}

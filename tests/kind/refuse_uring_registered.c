/* EXPECT-REFUSAL: has registered files */
/* EXPECT-REFUSAL: tells an eventfd */
/* EXPECT-REFUSAL: IORING_SETUP_SINGLE_ISSUER */
/* EXPECT-REFUSAL: IORING_SETUP_R_DISABLED */
/* EXPECT-REFUSAL: no descriptor of */
/* Rings of io_uring that the kernel keeps more of than it tells. */
#include <sys/eventfd.h>

#include "ring.h"

static void ring_register(const struct ring *r, unsigned int what, const void *arg)
{
	CHECK(syscall(SYS_io_uring_register, r->fd, what, arg, 1) == 0);
}

int main(void)
{
	struct ring files = ring_make(0), event = ring_make(0), closed = ring_make(0);
	struct ring single = ring_make(IORING_SETUP_SINGLE_ISSUER);
	struct ring disabled = ring_make(IORING_SETUP_R_DISABLED);
	int fd = eventfd(0, 0);

	ring_register(&files, IORING_REGISTER_FILES, &fd);
	ring_register(&event, IORING_REGISTER_EVENTFD, &fd);
	CHECK(close(closed.fd) == 0);

	test_ready();

	ring_use(&files, 3);
	ring_use(&single, 3);
	ring_use(&event, 3);
	CHECK(syscall(SYS_io_uring_register, disabled.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
	ring_use(&disabled, 3);
	test_passed();
}

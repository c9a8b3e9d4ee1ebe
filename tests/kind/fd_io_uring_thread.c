/* An io_uring whose requests a thread of the kernel's takes (IORING_SETUP_SQPOLL): Node.js has such. */
#include "ring.h"

/* Its thread takes it by itself, or is woken to do so. */
static void use_without_submitting(const struct ring *r, unsigned long data)
{
	ring_prepare_nop(r, data);
	for (int i = 0; i < 5000; i++) {
		if (*ring_word(r, r->p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
			CHECK(syscall(SYS_io_uring_enter, r->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL,
				      0) >= 0);
		if (__atomic_load_n(ring_word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE) !=
		    *ring_word(r, r->p.cq_off.head))
			break;
		test_nap(1);
	}
	CHECK_EQ(ring_take(r, data), 0);
}

int main(void)
{
	struct ring used = ring_make(IORING_SETUP_SQPOLL), fresh = ring_make(IORING_SETUP_SQPOLL);

	ring_need_support();
	for (unsigned long i = 0; i < 3L * ENTRIES; i++)
		use_without_submitting(&used, i);

	test_ready();

	for (unsigned long i = 0; i < 3L * ENTRIES; i++)
		use_without_submitting(&used, i);
	use_without_submitting(&fresh, 9);
	ring_check_empty(&used);
	ring_check_empty(&fresh);
	test_passed();
}

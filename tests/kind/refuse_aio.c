/* EXPECT-REFUSAL: asynchronous I/O|AIO|aio */
/* A context of the kernel's asynchronous I/O, with the ring that the kernel maps for it. */
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 4, &context) < 0)
		SKIP("io_setup is not permitted here: %s", strerror(errno));

	test_ready();

	CHECK_EQ(syscall(SYS_io_destroy, context), 0);
	test_passed();
}

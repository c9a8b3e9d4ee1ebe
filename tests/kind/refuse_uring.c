/* EXPECT-REFUSAL: io_uring */
/* The rings of io_uring are shared with the kernel, which keeps what is under way in them. */
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	struct io_uring_params params = {0};
	int fd = (int)syscall(SYS_io_uring_setup, 8, &params);

	if (fd < 0)
		SKIP("io_uring is not permitted here: %s", strerror(errno));

	test_ready();

	CHECK_EQ(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0), 0);
	test_passed();
}

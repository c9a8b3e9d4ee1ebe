/* EXPECT-REFUSAL: pidfd of process 1 \(.*not part of what is checkpointed */
/* A pidfd of a process that is nobody's to bring back. */
#include <signal.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	if (fd < 0)
		SKIP("this kernel has no pidfd_open");

	test_ready();

	CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0 || errno == EPERM);
	test_passed();
}

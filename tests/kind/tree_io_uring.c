/* An io_uring that parent and child share: descriptor and memory. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ring.h"

int main(void)
{
	struct ring ring = ring_make(0);
	int gate[2], status;
	char byte;
	pid_t pid;

	ring_need_support();
	CHECK(pipe(gate) == 0);
	ring_use(&ring, 70);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK_EQ(read(gate[0], &byte, 1), 1);
		CHECK_EQ(ring_take(&ring, 4711), 0);
		ring_use(&ring, 200);
		ring_prepare_nop(&ring, 4712);
		_exit(0);
	}

	test_ready();

	ring_prepare_nop(&ring, 4711);
	ring_submit(&ring, 1);
	CHECK_EQ(write(gate[1], "x", 1), 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	ring_submit(&ring, 1);
	CHECK_EQ(ring_take(&ring, 4712), 0);
	ring_use(&ring, 70);
	test_passed();
}

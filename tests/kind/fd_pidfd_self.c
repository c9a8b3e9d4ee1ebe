/* EXPECT-REFUSAL: pidfd */
/* A pidfd of the program itself: it stands for a process, and is not saved yet. */
#include <signal.h>
#include <sys/syscall.h>

#include "procfs.h"

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

int main(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct sigaction sa = {.sa_handler = on_signal};

	if (fd < 0)
		SKIP("this kernel has no pidfd_open");
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);

	test_ready();

	CHECK_EQ(strtol(fdinfo_value(fd, "Pid"), NULL, 10), getpid());
	CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0);
	CHECK_EQ(caught, SIGUSR1);
	test_passed();
}

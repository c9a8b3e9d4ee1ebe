/* A pidfd of the program itself, and one that does not block. */
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
	int quick = (int)syscall(SYS_pidfd_open, getpid(), O_NONBLOCK);
	struct sigaction sa = {.sa_handler = on_signal};

	if (fd < 0)
		SKIP("this kernel has no pidfd_open");
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);

	test_ready();

	CHECK_EQ(strtol(fdinfo_value(fd, "Pid"), NULL, 10), getpid());
	CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0);
	CHECK_EQ(caught, SIGUSR1);
	if (quick >= 0)
		CHECK_EQ(fcntl(quick, F_GETFL), O_RDWR | O_NONBLOCK);
	test_passed();
}

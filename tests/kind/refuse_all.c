/* EXPECT-REFUSAL: deleted|removed */
/* A program with several obstacles is told all of them at once. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), directory;
	int epoll = epoll_create1(0), fd = eventfd(1, 0);
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	CHECK(pidfd >= 0);
	CHECK(dup(fd) >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 && close(fd) == 0);
	CHECK(mkdir("gone", 0700) == 0);
	directory = open("gone", O_RDONLY | O_DIRECTORY);
	CHECK(directory >= 0 && rmdir("gone") == 0);

	test_ready();

	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	test_passed();
}

/* Close-on-exec belongs to the number, not to the file: each keeps its own, and exec obeys. */
#include <sys/wait.h>

#include "check.h"

/* The process that the program becomes in a child: only the descriptor 21 may be there. */
static int executed(void)
{
	return fcntl(20, F_GETFD) == -1 && fcntl(21, F_GETFD) == 0 && fcntl(22, F_GETFD) == -1;
}

int main(int argc, char **argv)
{
	int fd, status;
	pid_t child;

	if (argc > 1)
		return executed() ? 0 : 1;
	fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(dup3(fd, 20, O_CLOEXEC) == 20 && dup2(fd, 21) == 21 && dup2(fd, 22) == 22);
	CHECK(fcntl(22, F_SETFD, FD_CLOEXEC) == 0);

	test_ready();

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(20, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(21, F_GETFD), 0);
	CHECK_EQ(fcntl(22, F_GETFD), FD_CLOEXEC);
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", argv[0], "look", NULL);
		_exit(2);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	test_passed();
}

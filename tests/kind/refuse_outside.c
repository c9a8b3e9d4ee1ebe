/* EXPECT-REFUSAL: pipe whose other end is held by process [0-9]+ \(kind-refuse_out */
/* EXPECT-REFUSAL: Unix socket connected to process [0-9]+ */
/* A pipe and a socket whose other ends another process has, which is not a child. */
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

/* Goes on without a parent, and ends when the socket does. */
static void outsider(int pipe_end, int socket_end)
{
	char byte;

	if (fork() > 0)
		_exit(0);
	while (read(socket_end, &byte, 1) == 1)
		CHECK_EQ(write(pipe_end, &byte, 1), 1);
	_exit(0);
}

int main(void)
{
	int ends[2], pair[2];
	char byte = 'x';
	pid_t child;

	CHECK(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(ends[0]);
		close(pair[0]);
		outsider(ends[1], pair[1]);
	}
	CHECK(waitpid(child, NULL, 0) == child && close(ends[1]) == 0 && close(pair[1]) == 0);

	test_ready();

	CHECK(write(pair[0], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1 && byte == 'x');
	test_passed();
}

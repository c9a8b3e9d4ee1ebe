/*
 * An epoll that two processes share and whose watches mean something to only one of them: the
 * parent has closed what it gave away, and its numbers show something else by now.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "epoll.h"

/* It has what the parent has closed. */
static void child(int epoll, const int told[2], const int told_back[2], int given, int moved)
{
	char byte;

	CHECK_EQ(read(told[0], &byte, 1), 1);
	post(given);
	CHECK_EQ(write(told_back[1], "x", 1), 1);
	CHECK_EQ(read(told[0], &byte, 1), 1);
	drain(given);
	CHECK_EQ(event(epoll), 0);
	post(moved);
	CHECK_EQ(event(epoll), 22);
	CHECK_EQ(write(told_back[1], "x", 1), 1);
	/* What nobody has open any more is not watched any more. */
	CHECK_EQ(read(told[0], &byte, 1), 1);
	_exit(0);
}

int main(void)
{
	int epoll = epoll_create1(0), told[2], back[2], given, moved, other, status;
	char byte;
	pid_t pid;

	CHECK(epoll >= 0 && pipe(told) == 0 && pipe(back) == 0);
	given = eventfd(0, 0);
	moved = eventfd(0, 0);
	add(epoll, given, 11);
	add(epoll, moved, 22);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child(epoll, told, back, given, moved);
	}
	CHECK(close(given) == 0);
	other = eventfd(1, 0); /* takes the number of what was given away */
	CHECK_EQ(other, given);
	CHECK(dup2(told[0], moved) == moved);

	test_ready();

	CHECK_EQ(event(epoll), 0);
	CHECK_EQ(write(told[1], "x", 1), 1);
	CHECK_EQ(read(back[0], &byte, 1), 1);
	CHECK_EQ(event(epoll), 11);
	drain(other);
	CHECK_EQ(event(epoll), 11);
	CHECK_EQ(write(told[1], "x", 1), 1);
	CHECK_EQ(read(back[0], &byte, 1), 1);
	CHECK_EQ(event(epoll), 22);
	CHECK_EQ(write(told[1], "x", 1), 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(event(epoll), 0);
	test_passed();
}

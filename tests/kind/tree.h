/*
 * For tests of several processes: children set themselves up, say so, wait for the same "go" as
 * the first process, check themselves, and end with a status that is collected.
 *
 *	pid_t child = fork();
 *	if (child == 0) {
 *		... set up ...
 *		tree_set_up();
 *		CHECK(...);
 *		_exit(0);
 *	}
 *	tree_wait(1);
 *	test_ready();
 *	tree_collect(child);
 */
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"

static int tree_pipe[2] = {-1, -1};

/* Before the first fork(2). */
static inline void tree_begin(void)
{
	CHECK(pipe(tree_pipe) == 0);
}

/* In a child, also one of clone(2): all is set up; returns when the test goes on. */
static inline void tree_set_up(void)
{
	test_allow_tracing();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHECK(write(tree_pipe[1], "x", 1) == 1);
	while (access("go", F_OK) < 0)
		test_nap(2);
}

/* Until so many have set themselves up. */
static inline void tree_wait(int children)
{
	char x;

	for (int i = 0; i < children; i++)
		CHECK(read(tree_pipe[0], &x, 1) == 1);
}

static inline void tree_collect(pid_t child)
{
	int status = -1;

	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK_EQ(status, 0);
}

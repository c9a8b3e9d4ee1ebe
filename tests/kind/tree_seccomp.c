/* EXPECT-REFUSAL(none cap): process \d+ .*seccomp */
/*
 * Filters of some processes of a tree, as of a sandbox: a child's own, those that its child has
 * inherited and added to, a parent without any, and strict mode in another child.
 */
#include "seccomp.h"
#include "tree.h"

static void grandchild(void)
{
	CHECK(forbid(SYS_getpriority, SECCOMP_RET_ERRNO | EMLINK, 0) == 0);
	tree_set_up();
	CHECK_EQ(answer_of(SYS_sysinfo), EDOM);
	CHECK_EQ(answer_of(SYS_getpriority), EMLINK);
	/* What the restore needed of it is forbidden all the same. */
	CHECK_EQ(answer_of(SYS_dup3), EXFULL);
	_exit(0);
}

static void child(void)
{
	pid_t pid;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | EDOM, 0) == 0);
	CHECK(forbid(SYS_dup3, SECCOMP_RET_ERRNO | EXFULL, 0) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		grandchild();
	tree_set_up();
	CHECK_EQ(answer_of(SYS_sysinfo), EDOM);
	CHECK_EQ(answer_of(SYS_dup3), EXFULL);
	CHECK(answer_of(SYS_getpriority) != EMLINK);
	tree_collect(pid);
	_exit(0);
}

/* Lives by the four calls that strict mode leaves. */
static void recluse(int in, int out)
{
	char c;

	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	CHECK(write(tree_pipe[1], "x", 1) == 1);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	if (read(in, &c, 1) == 1)
		write(out, &c, 1);
	syscall(SYS_exit, c == '!' ? 0 : 1);
}

int main(void)
{
	int to[2], from[2];
	pid_t sandboxed, strict;
	char c = 0;

	tree_begin();
	CHECK(pipe(to) == 0 && pipe(from) == 0);
	sandboxed = fork();
	if (sandboxed == 0)
		child();
	strict = fork();
	if (strict == 0)
		recluse(to[0], from[1]);
	CHECK(sandboxed > 0 && strict > 0);
	tree_wait(3);
	test_nap(50);

	test_ready();

	CHECK(answer_of(SYS_sysinfo) != EDOM);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_EQ(write(to[1], "!", 1), 1);
	CHECK_EQ(read(from[0], &c, 1), 1);
	CHECK_EQ(c, '!');
	tree_collect(strict);
	tree_collect(sandboxed);
	test_passed();
}

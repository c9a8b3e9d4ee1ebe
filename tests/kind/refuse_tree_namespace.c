/* EXPECT-REFUSAL: another pid namespace than process|another user namespace */
/* A member that lives in a pid namespace of its own is refused. */
#include <sched.h>
#include <signal.h>

#include "tree.h"

static int run(void *arg)
{
	(void)arg;
	pause();
	return 1;
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t child = clone(run, stack + sizeof stack, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, NULL);

	if (child < 0)
		SKIP("no user namespaces here: %s", strerror(errno));
	test_ready();
	CHECK(kill(child, SIGKILL) == 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	test_passed();
}

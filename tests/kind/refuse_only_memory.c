/* CHECKPOINT: --only */
/* EXPECT-REFUSAL: shared memory at 0x[0-9a-f]+ \(/dev/zero\) is also that of process [0-9]+ \(.*\), which is not part */
/* EXPECT-REFUSAL: shares its table of descriptors with process [0-9]+ */
/* EXPECT-REFUSAL: shares its memory with process [0-9]+ */
/* --only would make two of what a process shares with its children. */
#include <sched.h>
#include <sys/mman.h>

#include "tree.h"

#define STACK 65536

static int run(void *arg)
{
	(void)arg;
	while (access("go", F_OK) < 0)
		test_nap(2);
	_exit(0);
}

static pid_t start(int flags)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child = clone(run, stack + STACK, flags | SIGCHLD, NULL);

	CHECK(child > 0);
	return child;
}

int main(void)
{
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[3];

	CHECK(shared != MAP_FAILED);
	children[0] = start(0);
	children[1] = start(CLONE_FILES);
	children[2] = start(CLONE_VM);
	test_ready();
	for (int i = 0; i < 3; i++)
		tree_collect(children[i]);
	test_passed();
}

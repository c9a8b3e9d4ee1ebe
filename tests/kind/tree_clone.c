/*
 * Shows: what clone(2) lets processes share without being threads is still shared, each by
 * itself: memory, descriptors, the working directory, signal actions.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tree.h"

#define STACK 65536

static int number = 1;

static void handler(int sig)
{
	(void)sig;
}

/* Memory: what it writes is seen. */
static int share_memory(void *arg)
{
	(void)arg;
	number = 2;
	tree_set_up();
	CHECK_EQ(number, 2);
	number = 3;
	_exit(0);
}

/* Descriptors: what it opens is open. */
static int share_files(void *arg)
{
	(void)arg;
	tree_set_up();
	CHECK_EQ(number, 2);
	CHECK_EQ(dup2(tree_pipe[0], 77), 77);
	_exit(0);
}

/* The directory: where it goes the other is. */
static int share_directory(void *arg)
{
	(void)arg;
	tree_set_up();
	/* Not before the others have seen "go" here. */
	tree_wait(1);
	CHECK(chdir("/") == 0);
	umask(0123);
	_exit(0);
}

/* Signal actions, which needs shared memory as well. */
static int share_actions(void *arg)
{
	struct sigaction action = {.sa_handler = handler};

	(void)arg;
	tree_set_up();
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == handler);
	action.sa_handler = SIG_IGN;
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	_exit(0);
}

static pid_t start(int (*function)(void *), int flags)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	CHECK(stack != MAP_FAILED);
	child = clone(function, stack + STACK, flags | SIGCHLD, NULL);
	CHECK(child > 0);
	tree_wait(1);
	return child;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler};
	pid_t children[4];
	char cwd[8];

	tree_begin();
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	children[0] = start(share_memory, CLONE_VM);
	children[1] = start(share_files, CLONE_FILES);
	children[2] = start(share_directory, CLONE_FS | CLONE_VM);
	children[3] = start(share_actions, CLONE_SIGHAND | CLONE_VM);
	CHECK_EQ(number, 2);

	test_ready();

	tree_collect(children[0]);
	tree_collect(children[1]);
	tree_collect(children[3]);
	CHECK(write(tree_pipe[1], "x", 1) == 1);
	tree_collect(children[2]);
	CHECK_EQ(number, 3);
	CHECK(fcntl(77, F_GETFD) >= 0);
	CHECK(getcwd(cwd, sizeof cwd) && !strcmp(cwd, "/"));
	CHECK_EQ(umask(0), 0123);
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	test_passed();
}

/* A segment of parent and child, as a database has it: one inherits it, one attaches it again. */
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "ipc.h"

struct shared {
	volatile int ask, answer;
	volatile pid_t child;
};

static void serve(struct shared *inherited, int id)
{
	struct shared *again = shmat(id, NULL, 0);

	CHECK(again != (struct shared *)-1);
	inherited->child = getpid();
	while (!again->ask)
		test_nap(2);
	inherited->answer = again->ask + 1;
	_exit(7);
}

int main(void)
{
	int id = shmget(test_key(), sizeof(struct shared), IPC_CREAT | 0600), status;
	struct shared *shared = id >= 0 ? shmat(id, NULL, 0) : NULL;
	struct shmid_ds d;
	pid_t pid;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(shared != (struct shared *)-1);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		serve(shared, id);
	while (!shared->child)
		test_nap(2);

	test_ready();

	CHECK_EQ(shared->child, pid);
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	CHECK_EQ(d.shm_nattch, 3);
	shared->ask = 41;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 7);
	CHECK_EQ(shared->answer, 42);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	test_passed();
}

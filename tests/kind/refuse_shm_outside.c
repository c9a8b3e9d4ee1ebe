/* EXPECT-REFUSAL: not part of the program have attached it */
/* A segment that another program has attached, too: it would go on changing. */
#include <signal.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "ipc.h"

/* Not a child of ours any more, nor of our session. */
static void run_outside(int id, int told)
{
	pid_t pid = fork();

	if (pid != 0)
		_exit(0);
	setsid();
	CHECK(shmat(id, NULL, 0) != (void *)-1);
	pid = getpid();
	CHECK(write(told, &pid, sizeof pid) == sizeof pid);
	while (access("go", F_OK) < 0)
		test_nap(2);
	_exit(0);
}

int main(void)
{
	int id = shmget(test_key(), 8192, IPC_CREAT | 0600), told[2];
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL;
	pid_t pid;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(memory != (char *)-1 && pipe(told) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		run_outside(id, told[1]);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(read(told[0], &pid, sizeof pid) == sizeof pid);
	close(told[0]);
	close(told[1]);
	strcpy(memory, "shared");

	test_ready();

	CHECK(strcmp(memory, "shared") == 0);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	test_passed();
}

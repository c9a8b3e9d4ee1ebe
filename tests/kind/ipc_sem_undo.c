/* SEM_UNDO: what the kernel will add to the semaphores when the process that took them ends. */
#include <sys/sem.h>
#include <sys/wait.h>

#include "ipc.h"

union semun {
	int val;
	unsigned short *array;
};

static int id;

static void change(unsigned short n, short by, short flags)
{
	struct sembuf op = {n, by, flags};

	CHECK_EQ(semop(id, &op, 1), 0);
}

/* Takes one, gives two and takes three of the first three, and ends when it may. */
static void hold(void)
{
	change(0, -1, SEM_UNDO);
	change(1, 2, SEM_UNDO);
	change(2, -3, SEM_UNDO);
	change(3, -1, SEM_UNDO);
	change(3, 1, SEM_UNDO); /* given back: nothing to undo */
	change(4, 1, 0);
	change(5, -1, 0);
	_exit(0);
}

int main(void)
{
	const unsigned short held[6] = {0, 2, 4, 1, 0, 0}, left[6] = {1, 0, 7, 1, 0, 0};
	unsigned short values[6] = {1, 0, 7, 1, 0, 0};
	pid_t pid;

	id = semget(test_key(), 6, IPC_CREAT | 0600);
	if (id < 0)
		SKIP("no SysV semaphores here: %s", strerror(errno));
	CHECK_EQ(semctl(id, 0, SETALL, (union semun){.array = values}), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		hold();
	change(4, -1, 0);

	test_ready();

	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = values}), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(values[i], held[i]);
	change(5, 1, 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = values}), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(values[i], left[i]);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	test_passed();
}

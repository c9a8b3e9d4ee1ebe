/* System V semaphores: values, number, key, permissions, and that they were used (sem_otime). */
#include <sys/sem.h>

#include "ipc.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

int main(void)
{
	const unsigned short before[4] = {0, 1, 32767, 40};
	unsigned short values[4] = {0, 2, 32767, 40};
	int id = semget(test_key(), 4, IPC_CREAT | IPC_EXCL | 0620), unused;
	struct sembuf down = {1, -1, 0};
	struct semid_ds d;

	if (id < 0)
		SKIP("no SysV semaphores here: %s", strerror(errno));
	CHECK_EQ(semctl(id, 0, SETALL, (union semun){.array = values}), 0);
	CHECK_EQ(semop(id, &down, 1), 0);
	unused = semget(IPC_PRIVATE, 1, 0600);
	CHECK_EQ(semctl(unused, 0, SETVAL, (union semun){.val = 3}), 0);

	test_ready();

	CHECK_EQ(semget(test_key(), 0, 0), id);
	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = values}), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(values[i], before[i]);
	CHECK_EQ(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}), 0);
	CHECK_EQ(d.sem_nsems, 4);
	CHECK_EQ(d.sem_perm.mode, 0620);
	CHECK_EQ(d.sem_perm.uid, geteuid());
	CHECK(d.sem_otime != 0);
	CHECK_EQ(semop(id, &down, 1), 0);
	CHECK_EQ(semctl(id, 1, GETVAL), 0);
	CHECK_EQ(semctl(unused, 0, GETVAL), 3);
	CHECK_EQ(semctl(unused, 0, IPC_STAT, (union semun){.buf = &d}), 0);
	CHECK_EQ(d.sem_otime, 0);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_EQ(semctl(unused, 0, IPC_RMID), 0);
	test_passed();
}

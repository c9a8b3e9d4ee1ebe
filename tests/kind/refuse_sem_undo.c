/* EXPECT-REFUSAL: holds System V semaphores with SEM_UNDO, more than can be found out */
/* More to be undone than is looked for: it is noticed, in a set that is asked semaphore by semaphore or not. */
#include <sys/sem.h>

#include "ipc.h"

#define COUNT 150

int main(void)
{
	struct sembuf up = {140, 1, SEM_UNDO};
	int id = semget(test_key(), COUNT, IPC_CREAT | 0600);

	if (id < 0)
		SKIP("no SysV semaphores here: %s", strerror(errno));
	CHECK_EQ(semop(id, &up, 1), 0);

	test_ready();

	up.sem_op = -1;
	CHECK_EQ(semop(id, &up, 1), 0);
	CHECK_EQ(semctl(id, 140, GETVAL), 0);
	CHECK_EQ(semctl(id, 139, GETVAL), 0);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	test_passed();
}

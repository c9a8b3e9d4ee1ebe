/* Processes that wait for a semaphore: one without end, one with a timeout that is far. */
#include <signal.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "ipc.h"

static void wait_for(int id, unsigned short n, const struct timespec *timeout)
{
	struct sembuf down = {n, -1, 0}, tell = {2, 1, 0};

	CHECK_EQ(semop(id, &tell, 1), 0);
	CHECK_EQ(semtimedop(id, &down, 1, timeout), 0);
	_exit(0);
}

int main(void)
{
	static const struct timespec long_time = {.tv_sec = 1000};
	int id = semget(IPC_PRIVATE, 3, 0600), status;
	struct sembuf both = {2, -2, 0}, up[2] = {{0, 1, 0}, {1, 1, 0}};
	pid_t pids[2];

	if (id < 0)
		SKIP("no SysV semaphores here: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i] == 0)
			wait_for(id, (unsigned short)i, i ? &long_time : NULL);
	}
	CHECK_EQ(semop(id, &both, 1), 0);
	while (semctl(id, 0, GETNCNT) < 1 || semctl(id, 1, GETNCNT) < 1)
		test_nap(2);

	test_ready();

	for (int i = 0; i < 2; i++)
		CHECK_EQ(waitpid(pids[i], NULL, WNOHANG), 0);
	CHECK_EQ(semop(id, up, 2), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	test_passed();
}

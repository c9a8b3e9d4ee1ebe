/* EXPECT-REFUSAL: semaphore set [0-9]+ .*which is not part of the program, uses it */
/* EXPECT-REFUSAL: message queue [0-9]+ .*which is not part of the program, uses it */
/* System V semaphores and messages that another program uses, too: it would go on changing them. */
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "ipc.h"

static int set, queue;

/* Not a child of ours any more, nor of our session. */
static void run_outside(int told)
{
	struct sembuf up = {1, 1, 0};
	long message[2] = {7, 7};
	pid_t pid = fork();

	if (pid != 0)
		_exit(0);
	setsid();
	CHECK_EQ(semop(set, &up, 1), 0);
	CHECK_EQ(msgsnd(queue, message, 0, 0), 0);
	pid = getpid();
	CHECK(write(told, &pid, sizeof pid) == sizeof pid);
	while (access("go", F_OK) < 0)
		test_nap(2);
	_exit(0);
}

int main(void)
{
	struct sembuf up = {0, 1, 0};
	long message[2] = {3, 3};
	int told[2];
	pid_t pid;

	set = semget(IPC_PRIVATE, 2, 0600);
	queue = msgget(IPC_PRIVATE, 0600);
	if (set < 0 || queue < 0)
		SKIP("no System V IPC here: %s", strerror(errno));
	CHECK_EQ(pipe(told), 0);
	CHECK_EQ(semop(set, &up, 1), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		run_outside(told[1]);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(read(told[0], &pid, sizeof pid) == sizeof pid);
	CHECK_EQ(msgrcv(queue, message, 0, 0, 0), 0);
	close(told[0]);
	close(told[1]);

	test_ready();

	CHECK_EQ(semctl(set, 0, GETVAL), 1);
	CHECK_EQ(semctl(set, 0, IPC_RMID), 0);
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
	test_passed();
}

/* LEVELS: cap root */
/* RESTORE: --pid=new */
/* The numbers of System V objects are the old ones also where those of processes are new. */
#include <sys/msg.h>
#include <sys/shm.h>

#include "ipc.h"

int main(void)
{
	int id = shmget(test_key(), 4096, IPC_CREAT | 0600), queue = msgget(IPC_PRIVATE, 0600);
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL;
	long message[2] = {5, 42};
	struct shmid_ds d;

	if (id < 0 || queue < 0)
		SKIP("no System V IPC here: %s", strerror(errno));
	CHECK(memory != (char *)-1);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(msgsnd(queue, message, sizeof message[1], 0), 0);
	strcpy(memory, "removed");

	test_ready();

	CHECK(strcmp(memory, "removed") == 0);
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	CHECK_EQ(d.shm_lpid, getpid());
	message[1] = 0;
	CHECK_EQ(msgrcv(queue, message, sizeof message[1], 5, IPC_NOWAIT), sizeof message[1]);
	CHECK_EQ(message[1], 42);
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
	test_passed();
}

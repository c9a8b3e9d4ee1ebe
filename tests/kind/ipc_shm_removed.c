/* A segment that was removed (IPC_RMID) lives as long as somebody has it attached. */
#include <sys/shm.h>

#include "ipc.h"

int main(void)
{
	int id = shmget(test_key(), 8192, IPC_CREAT | 0600);
	int empty = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL;
	const char *zeros = empty >= 0 ? shmat(empty, NULL, SHM_RDONLY) : NULL;
	struct shmid_ds d;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(memory != (char *)-1 && zeros != (char *)-1);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(shmctl(empty, IPC_RMID, NULL), 0);
	strcpy(memory + 4096, "shared");

	test_ready();

	CHECK(strcmp(memory + 4096, "shared") == 0 && memory[0] == 0 && zeros[8191] == 0);
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	CHECK_EQ(d.shm_nattch, 1);
	CHECK(d.shm_perm.mode & SHM_DEST);
	CHECK_EQ(d.shm_perm.__key, IPC_PRIVATE);
	CHECK(shmget(test_key(), 0, 0) < 0 && errno == ENOENT);
	CHECK_EQ(shmdt(memory), 0);
	CHECK(shmctl(id, IPC_STAT, &d) < 0);
	test_passed();
}

/* System V shared memory: its number, key, permissions, content, lock, and how it is attached. */
#include <sys/shm.h>

#include "ipc.h"

#define SIZE (3 * 4096 + 100)

int main(void)
{
	int id = shmget(test_key(), SIZE, IPC_CREAT | IPC_EXCL | 0640), again;
	int other = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	int loose = shmget(IPC_PRIVATE, 2 * 4096, IPC_CREAT | 0600);
	char *memory, *reading, *alone, *detached;
	struct shmid_ds d;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(other >= 0 && loose >= 0);
	memory = shmat(id, NULL, 0);
	reading = shmat(id, NULL, SHM_RDONLY);
	alone = shmat(other, NULL, 0);
	CHECK(memory != (char *)-1 && reading != (char *)-1 && alone != (char *)-1);
	strcpy(memory, "shared");
	strcpy(memory + SIZE - 5, "end");
	strcpy(alone, "alone");
	CHECK_EQ(shmctl(other, SHM_LOCK, NULL), 0);
	/* One that nobody has attached. */
	detached = shmat(loose, NULL, 0);
	CHECK(detached != (char *)-1);
	strcpy(detached + 4096, "loose");
	CHECK_EQ(shmdt(detached), 0);

	test_ready();

	CHECK(strcmp(reading, "shared") == 0 && strcmp(memory + SIZE - 5, "end") == 0);
	CHECK(strcmp(alone, "alone") == 0);
	strcpy(memory + 4096, "new");
	CHECK(strcmp(reading + 4096, "new") == 0);
	CHECK(shmctl(id, IPC_STAT, &d) == 0);
	CHECK_EQ(d.shm_segsz, SIZE);
	CHECK_EQ(d.shm_nattch, 2);
	CHECK_EQ(d.shm_lpid, getpid());
	CHECK_EQ(d.shm_perm.mode, 0640);
	CHECK_EQ(d.shm_perm.uid, geteuid());
	CHECK_EQ(d.shm_perm.gid, getegid());
	CHECK_EQ(d.shm_perm.__key, test_key());
	CHECK_EQ(shmctl(other, IPC_STAT, &d), 0);
	CHECK_EQ(d.shm_perm.mode, 0600 | SHM_LOCKED);
	again = shmget(test_key(), 0, 0);
	CHECK_EQ(again, id);
	CHECK_EQ(shmdt(reading), 0);
	CHECK_EQ(shmdt(memory), 0);
	CHECK_EQ(shmctl(loose, IPC_STAT, &d), 0);
	CHECK_EQ(d.shm_nattch, 0);
	detached = shmat(loose, NULL, 0);
	CHECK(detached != (char *)-1);
	CHECK(strcmp(detached + 4096, "loose") == 0 && detached[0] == 0);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(shmctl(other, IPC_RMID, NULL), 0);
	CHECK_EQ(shmctl(loose, IPC_RMID, NULL), 0);
	test_passed();
}

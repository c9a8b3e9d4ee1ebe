/* EXPECT-REFUSAL: SysV|System V */
/* A SysV shared memory segment belongs to everybody who knows its number. */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "check.h"

int main(void)
{
	int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(memory != (char *)-1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0); /* gone with its last user */
	strcpy(memory, "shared");

	test_ready();

	CHECK(strcmp(memory, "shared") == 0);
	test_passed();
}

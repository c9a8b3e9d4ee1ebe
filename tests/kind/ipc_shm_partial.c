/* A segment of which parts were unmapped, and whose protection was changed. */
#include <sys/mman.h>
#include <sys/shm.h>

#include "ipc.h"

#define PAGE 4096

int main(void)
{
	int id = shmget(test_key(), 8 * PAGE, IPC_CREAT | 0600);
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL, *all;
	unsigned char there;

	if (id < 0)
		SKIP("no SysV shared memory here: %s", strerror(errno));
	CHECK(memory != (char *)-1);
	for (int i = 0; i < 8; i++)
		memory[i * PAGE] = (char)('a' + i);
	CHECK_EQ(munmap(memory, PAGE), 0);
	CHECK_EQ(munmap(memory + 3 * PAGE, 2 * PAGE), 0);
	CHECK_EQ(mprotect(memory + 7 * PAGE, PAGE, PROT_NONE), 0);
	CHECK_EQ(mprotect(memory + 6 * PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(mprotect(memory + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	memory[5 * PAGE + 1] = (char)0xc3; /* ret */

	test_ready();

	CHECK(memory[PAGE] == 'b' && memory[2 * PAGE] == 'c' && memory[5 * PAGE] == 'f');
	CHECK_EQ(memory[6 * PAGE], 'g');
	((void (*)(void))(memory + 5 * PAGE + 1))();
	CHECK(mincore(memory, PAGE, &there) < 0 && errno == ENOMEM);
	CHECK(mincore(memory + 4 * PAGE, PAGE, &there) < 0 && errno == ENOMEM);
	CHECK_EQ(mprotect(memory + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	memory[7 * PAGE + 1] = 'x';
	/* What is not mapped anywhere has not been lost. */
	all = shmat(id, NULL, 0);
	CHECK(all != (char *)-1);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(all[i * PAGE], 'a' + i);
	CHECK_EQ(all[7 * PAGE + 1], 'x');
	/* shmdt(2) takes the address of the first page, which is not there. */
	CHECK_EQ(shmdt(memory), 0);
	CHECK(mincore(memory + PAGE, PAGE, &there) < 0 && errno == ENOMEM);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	test_passed();
}

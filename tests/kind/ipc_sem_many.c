/* Many semaphores of a program with threads, which could have something to undo but has not. */
/* LINK: -lpthread */
#include <pthread.h>
#include <sys/sem.h>

#include "ipc.h"

#define COUNT 150

union semun {
	int val;
	unsigned short *array;
};

static void *do_nothing(void *arg)
{
	return arg;
}

int main(void)
{
	unsigned short values[COUNT];
	struct sembuf twice[2] = {{7, 5, SEM_UNDO}, {7, -5, SEM_UNDO}};
	int id = semget(test_key(), COUNT, IPC_CREAT | 0600);
	pthread_t thread;

	if (id < 0)
		SKIP("no SysV semaphores here: %s", strerror(errno));
	for (int i = 0; i < COUNT; i++)
		values[i] = (unsigned short)(i % 3 ? i * 200 : 0);
	CHECK_EQ(semctl(id, 0, SETALL, (union semun){.array = values}), 0);
	CHECK_EQ(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(semop(id, twice, 2), 0);

	test_ready();

	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = values}), 0);
	for (int i = 0; i < COUNT; i++)
		CHECK_EQ(values[i], i % 3 ? i * 200 : 0);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	test_passed();
}

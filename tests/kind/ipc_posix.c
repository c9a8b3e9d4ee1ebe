/* LINK: -lrt -lpthread */
/* POSIX shared memory and semaphores of parent and child: files of /dev/shm, with a name and without. */
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"

struct shared {
	sem_t ask, answer;
	volatile int number;
};

static void serve(struct shared *shared, sem_t *named)
{
	CHECK_EQ(sem_post(&shared->answer), 0);
	CHECK_EQ(sem_wait(&shared->ask), 0);
	shared->number++;
	CHECK_EQ(sem_post(&shared->answer), 0);
	CHECK_EQ(sem_wait(named), 0);
	_exit(4);
}

static struct shared *map(int fd)
{
	struct shared *shared;

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, sizeof *shared), 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED);
	close(fd);
	CHECK_EQ(sem_init(&shared->ask, 1, 0), 0);
	CHECK_EQ(sem_init(&shared->answer, 1, 0), 0);
	return shared;
}

int main(void)
{
	struct shared *shared[2];
	char name[64], other[64];
	sem_t *named;
	pid_t pids[2];
	int status;

	snprintf(name, sizeof name, "/%s", test_name());
	snprintf(other, sizeof other, "/%s-other", test_name());
	named = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	if (named == SEM_FAILED)
		SKIP("no POSIX semaphores here: %s", strerror(errno));
	shared[0] = map(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600));
	shared[1] = map(shm_open(other, O_CREAT | O_EXCL | O_RDWR, 0600));
	CHECK_EQ(shm_unlink(other), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (pids[i] == 0)
			serve(shared[i], named);
		CHECK_EQ(sem_wait(&shared[i]->answer), 0);
	}

	test_ready();

	for (int i = 0; i < 2; i++) {
		shared[i]->number = i;
		CHECK_EQ(sem_post(&shared[i]->ask), 0);
		CHECK_EQ(sem_wait(&shared[i]->answer), 0);
		CHECK_EQ(shared[i]->number, i + 1);
		CHECK_EQ(sem_post(named), 0);
	}
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(WEXITSTATUS(status), 4);
	}
	CHECK_EQ(sem_unlink(name), 0);
	CHECK_EQ(shm_unlink(name), 0);
	test_passed();
}

/* POSIX record locks: each range is held by this process with its kind, as another process sees. */
#include <sys/wait.h>

#include "check.h"

#define LOCKS 4

static const struct flock held[LOCKS] = {
	{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10},
	{.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 5},
	{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 25, .l_len = 1},
	{.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1000, .l_len = 0}, /* to the end */
};

/* What stands in the way of a write lock of the byte at start. */
static struct flock probe(off_t start)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
	int fd = open("file", O_RDWR);

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0)
		lock.l_type = -1;
	return lock;
}

static int probe_all(pid_t owner)
{
	for (int i = 0; i < LOCKS; i++) {
		struct flock lock = probe(held[i].l_start);

		if (lock.l_type != held[i].l_type || lock.l_start != held[i].l_start ||
		    lock.l_len != held[i].l_len || lock.l_pid != owner)
			return 1 + i;
	}
	return probe(10).l_type == F_UNLCK && probe(26).l_type == F_UNLCK ? 0 : 100;
}

int main(void)
{
	int fd = open("file", O_CREAT | O_RDWR, 0600), status;
	pid_t owner = getpid(), child;

	CHECK(fd >= 0 && lseek(fd, 100, SEEK_SET) == 100);
	for (int i = 0; i < LOCKS; i++)
		CHECK(fcntl(fd, F_SETLK, &held[i]) == 0);

	test_ready();

	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(probe_all(owner));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 100);
	test_passed();
}

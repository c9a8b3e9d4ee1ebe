/*
 * Shows: a POSIX lock is that of the process that set it, also on a description that it has from
 * its parent; a lock by flock(2) belongs to the description, and all who have it hold it.
 */
#include <sys/file.h>

#include "tree.h"

static struct flock range(short type, off_t start)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 10};
}

/* Who holds it: 0 for nobody else. */
static pid_t holder(int fd, off_t start)
{
	struct flock l = range(F_WRLCK, start);

	CHECK(fcntl(fd, F_GETLK, &l) == 0);
	return l.l_type == F_UNLCK ? 0 : l.l_pid;
}

int main(void)
{
	int fd = open("locked", O_CREAT | O_RDWR, 0600), other;
	struct flock mine = range(F_WRLCK, 0), its = range(F_WRLCK, 100);
	pid_t child;

	tree_begin();
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	CHECK(fcntl(fd, F_SETLK, &mine) == 0);
	child = fork();
	if (child == 0) {
		CHECK(fcntl(fd, F_SETLK, &its) == 0);
		tree_set_up();
		CHECK_EQ(holder(fd, 0), getppid());
		CHECK_EQ(holder(fd, 100), 0);
		tree_wait(1);
		_exit(0);
	}
	tree_wait(1);

	test_ready();

	CHECK_EQ(holder(fd, 0), 0);
	CHECK_EQ(holder(fd, 100), child);
	other = open("locked", O_RDWR);
	CHECK(other >= 0 && flock(other, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	CHECK(write(tree_pipe[1], "x", 1) == 1);
	tree_collect(child);
	CHECK_EQ(holder(fd, 100), 0);
	/* Closing any descriptor of the file gives up our own. */
	CHECK(flock(fd, LOCK_UN) == 0);
	CHECK(flock(other, LOCK_SH | LOCK_NB) == 0);
	test_passed();
}

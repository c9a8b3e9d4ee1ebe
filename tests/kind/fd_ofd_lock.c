/* Open file description locks: each range is held by its description, to its last duplicate. */
#include "check.h"

static struct flock range(int type, off_t start, off_t len)
{
	return (struct flock){
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len,
	};
}

/* The lock that a write lock of one byte through fd would meet. */
static struct flock met(int fd, off_t start)
{
	struct flock lock = range(F_WRLCK, start, 1);

	CHECK(fcntl(fd, F_OFD_GETLK, &lock) == 0);
	return lock;
}

int main(void)
{
	int first = open("file", O_CREAT | O_RDWR, 0600), second = open("file", O_RDWR);
	int copy = dup(first), other = open("file", O_RDWR);
	struct flock lock;

	CHECK(first >= 0 && second >= 0 && copy >= 0 && other >= 0);
	lock = range(F_WRLCK, 0, 10);
	CHECK(fcntl(first, F_OFD_SETLK, &lock) == 0);
	lock = range(F_RDLCK, 20, 0);
	CHECK(fcntl(second, F_OFD_SETLK, &lock) == 0);

	test_ready();

	lock = met(other, 5);
	CHECK(lock.l_type == F_WRLCK && lock.l_start == 0 && lock.l_len == 10 && lock.l_pid == -1);
	lock = met(other, 999);
	CHECK(lock.l_type == F_RDLCK && lock.l_start == 20 && lock.l_len == 0 && lock.l_pid == -1);
	CHECK_EQ(met(first, 5).l_type, F_UNLCK);
	CHECK_EQ(met(second, 5).l_type, F_WRLCK);
	CHECK_EQ(met(other, 15).l_type, F_UNLCK);
	CHECK(close(first) == 0);
	CHECK_EQ(met(other, 5).l_type, F_WRLCK);
	CHECK(close(copy) == 0);
	CHECK_EQ(met(other, 5).l_type, F_UNLCK);
	test_passed();
}

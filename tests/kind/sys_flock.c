/*
 * Shows: threads that wait for a file lock (flock, and a lock of the open file
 * description) get it when its holder lets go, and not before.
 */
#include <sys/file.h>

#include "waiting.h"

static const struct flock write_lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};

static long in_flock(struct waiter *waiter)
{
	return flock(waiter->fd, LOCK_EX);
}

static long in_ofd_lock(struct waiter *waiter)
{
	struct flock lock = write_lock;

	return fcntl(waiter->fd, F_OFD_SETLKW, &lock);
}

static int open_again(void)
{
	int fd = open("data", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	return fd;
}

int main(void)
{
	struct flock lock = write_lock;
	int holder = open_again(), third = open_again();
	struct waiter waiters[] = {
		{.call = in_flock, .fd = open_again()},
		{.call = in_ofd_lock, .fd = open_again()},
	};

	CHECK(flock(holder, LOCK_EX) == 0);
	CHECK(fcntl(holder, F_OFD_SETLK, &lock) == 0);
	for (int i = 0; i < 2; i++)
		waiter_start(&waiters[i]);

	test_ready();

	for (int i = 0; i < 2; i++) {
		await_asleep(waiters[i].tid);
		CHECK(!waiter_ended(&waiters[i]));
	}
	CHECK(flock(third, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	lock = write_lock;
	CHECK(fcntl(third, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK);

	CHECK(flock(holder, LOCK_UN) == 0);
	lock = write_lock;
	lock.l_type = F_UNLCK;
	CHECK(fcntl(holder, F_OFD_SETLK, &lock) == 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(waiter_result(&waiters[i]), 0);
	/* Now they have them. */
	CHECK(flock(holder, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	lock = write_lock;
	CHECK(fcntl(holder, F_OFD_SETLK, &lock) < 0 && errno == EAGAIN);
	test_passed();
}

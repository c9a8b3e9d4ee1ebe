/* Event counters: value (up to the largest), semaphore or not, blocking or not. */
#include <stdint.h>
#include <sys/eventfd.h>

#include "check.h"

static uint64_t take(int fd)
{
	uint64_t value;

	CHECK_EQ(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

int main(void)
{
	const uint64_t most = 0xfffffffffffffffe, one = 1;
	int plain = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE);
	int full = eventfd(0, EFD_NONBLOCK), zero = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	int copy = dup(plain);
	uint64_t value;

	CHECK(plain >= 0 && semaphore >= 0 && full >= 0 && zero >= 0 && copy >= 0);
	CHECK(write(full, &most, sizeof(most)) == sizeof(most));

	test_ready();

	CHECK_EQ(fcntl(plain, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(plain, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(semaphore, F_GETFL), O_RDWR);
	CHECK_EQ(take(copy), 7);
	CHECK(read(plain, &value, sizeof(value)) == -1 && errno == EAGAIN);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(take(semaphore), 1);
	CHECK(write(full, &one, sizeof(one)) == -1 && errno == EAGAIN);
	CHECK(take(full) == most);
	CHECK(read(zero, &value, sizeof(value)) == -1 && errno == EAGAIN);
	value = 2;
	CHECK(write(zero, &value, sizeof(value)) == sizeof(value));
	CHECK_EQ(take(zero), 1);
	test_passed();
}

/* Event counters: value (up to the largest), semaphore or not, blocking or not. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "check.h"

static uint64_t take(int fd)
{
	uint64_t value;

	CHECK_EQ(read(fd, &value, sizeof(value)), sizeof(value));
	return value;
}

static bool kernel_tells(int fd)
{
	char path[32], text[512] = "";
	int info;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(info >= 0 && read(info, text, sizeof text - 1) > 0);
	close(info);
	return strstr(text, "eventfd-semaphore:");
}

int main(void)
{
	const uint64_t most = 0xfffffffffffffffe, one = 1;
	int plain = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE);
	int full = eventfd(0, EFD_NONBLOCK), zero = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
	int copy = dup(plain);
	uint64_t value;

	CHECK(plain >= 0 && semaphore >= 0 && full >= 0 && zero >= 0 && copy >= 0);
	if (!kernel_tells(semaphore))
		SKIP("this kernel does not tell whether an eventfd is a semaphore");
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

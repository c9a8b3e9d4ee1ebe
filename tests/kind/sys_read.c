/*
 * Shows: threads that wait within read, readv or write: what comes later
 * arrives once and whole.
 */
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "waiting.h"

static long in_read(struct waiter *waiter)
{
	char text[100] = "";
	long result = read(waiter->fd, text, sizeof text);

	CHECK(strcmp(text, "read") == 0);
	return result;
}

static long in_readv(struct waiter *waiter)
{
	char one[3], two[10] = "";
	struct iovec parts[] = {{one, sizeof one}, {two, sizeof two}};
	long result = readv(waiter->fd, parts, 2);

	CHECK(memcmp(one, "rea", 3) == 0 && strcmp(two, "dv") == 0);
	return result;
}

static long in_read_eventfd(struct waiter *waiter)
{
	uint64_t count;
	long result = read(waiter->fd, &count, sizeof count);

	CHECK_EQ(count, 42);
	return result;
}

/* Into a full pipe. */
static long in_write(struct waiter *waiter)
{
	return write(waiter->fd, "written", 7);
}

static void drain_then_expect(int fd, const char *want)
{
	char byte, rest[100] = "";

	do
		CHECK(read(fd, &byte, 1) == 1);
	while (byte == 'f');
	CHECK(byte == want[0]);
	CHECK(read(fd, rest, sizeof rest) == (ssize_t)strlen(want) - 1);
	CHECK(strcmp(rest, want + 1) == 0);
}

int main(void)
{
	int plain[2], vector[2], full[2], event = eventfd(0, EFD_CLOEXEC);
	uint64_t count = 42;

	CHECK(event >= 0 && pipe2(plain, O_CLOEXEC) == 0 && pipe2(vector, O_CLOEXEC) == 0);
	CHECK(pipe2(full, O_CLOEXEC | O_NONBLOCK) == 0);
	while (write(full[1], "f", 1) == 1)
		;
	CHECK(fcntl(full[1], F_SETFL, 0) == 0);
	struct waiter waiters[] = {
		{.call = in_read, .fd = plain[0]},
		{.call = in_readv, .fd = vector[0]},
		{.call = in_read_eventfd, .fd = event},
		{.call = in_write, .fd = full[1]},
	};

	for (int i = 0; i < 4; i++)
		waiter_start(&waiters[i]);

	test_ready();

	for (int i = 0; i < 4; i++)
		await_asleep(waiters[i].tid);
	for (int i = 0; i < 4; i++)
		CHECK(!waiter_ended(&waiters[i]));
	CHECK(write(plain[1], "read", 4) == 4);
	CHECK(write(vector[1], "readv", 5) == 5);
	CHECK(write(event, &count, sizeof count) == sizeof count);
	CHECK_EQ(waiter_result(&waiters[0]), 4);
	CHECK_EQ(waiter_result(&waiters[1]), 5);
	CHECK_EQ(waiter_result(&waiters[2]), sizeof count);
	drain_then_expect(full[0], "written");
	CHECK_EQ(waiter_result(&waiters[3]), 7);
	test_passed();
}

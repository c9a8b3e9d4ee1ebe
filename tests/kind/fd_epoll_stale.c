/*
 * An epoll descriptor that still watches files under numbers that were closed, or mean something
 * else by now: duplicates keep the files open.  More than one batch of system calls adds.
 */
#include <sys/resource.h>

#include "epoll.h"

#define MANY 2000

int main(void)
{
	struct rlimit limit = {4096, 4096};
	int epoll = epoll_create1(0), closed, reused, twice, copies[3], many[MANY], number;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		SKIP("not so many descriptors may be open");
	CHECK(epoll >= 0);
	closed = eventfd(0, 0);
	copies[0] = dup(closed);
	add(epoll, closed, 11);
	reused = eventfd(0, 0);
	copies[1] = dup(reused);
	add(epoll, reused, 22);
	/* The number becomes another file, which is watched by that number, too. */
	twice = eventfd(0, 0);
	CHECK_EQ(dup3(twice, reused, O_CLOEXEC), reused);
	add(epoll, reused, 33);
	copies[2] = dup(epoll);
	for (int i = 0; i < MANY; i++) {
		many[i] = eventfd(0, 0);
		add(epoll, many[i], 1000 + (uint64_t)i);
	}
	number = closed;
	CHECK(close(closed) == 0);

	test_ready();

	CHECK(fcntl(number, F_GETFD) == -1 && errno == EBADF);
	CHECK_EQ(fcntl(reused, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(event(epoll), 0);
	post(copies[0]);
	CHECK_EQ(event(epoll), 11);
	drain(copies[0]);
	post(copies[1]);
	CHECK_EQ(event(copies[2]), 22);
	drain(copies[1]);
	post(reused);
	CHECK_EQ(event(epoll), 33);
	drain(twice);
	for (int i = 0; i < MANY; i++) {
		post(many[i]);
		CHECK_EQ(event(epoll), 1000 + i);
		drain(many[i]);
	}
	/* That of a closed number goes with the last copy of its file. */
	post(copies[0]);
	CHECK_EQ(event(epoll), 11);
	CHECK(close(copies[0]) == 0);
	CHECK_EQ(event(epoll), 0);
	test_passed();
}

/* What the tests of epoll have in common: eventfds that are watched. */
#pragma once

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

static inline void add(int epoll, int fd, uint64_t data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The only event that there is now; 0: none. */
static inline uint64_t event(int epoll)
{
	struct epoll_event found[4];
	int n = epoll_wait(epoll, found, 4, 0);

	CHECK(n == 0 || n == 1);
	return n ? found[0].data.u64 : 0;
}

static inline void post(int fd)
{
	const uint64_t one = 1;

	CHECK_EQ(write(fd, &one, sizeof one), sizeof one);
}

static inline void drain(int fd)
{
	uint64_t value;

	CHECK_EQ(read(fd, &value, sizeof value), sizeof value);
}

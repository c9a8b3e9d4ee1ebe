/*
 * Watches of an epoll that have fired once (EPOLLONESHOT), for a hangup that is still there:
 * silent until they are armed again, beside others whose events are waiting.
 */
#include <stdint.h>
#include <sys/epoll.h>

#include "check.h"

static void control(int epoll, int operation, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	CHECK(epoll_ctl(epoll, operation, fd, &event) == 0);
}

int main(void)
{
	int epoll = epoll_create1(0), hung[2], ready[2], shared[2];
	struct epoll_event found[4];

	CHECK(epoll >= 0 && pipe(hung) == 0 && pipe(ready) == 0 && pipe(shared) == 0);
	CHECK(close(hung[1]) == 0);
	control(epoll, EPOLL_CTL_ADD, hung[0], EPOLLIN | EPOLLONESHOT);
	CHECK_EQ(epoll_wait(epoll, found, 4, 0), 1);
	CHECK_EQ(found[0].events, EPOLLHUP);
	CHECK_EQ(write(ready[1], "a", 1), 1);
	control(epoll, EPOLL_CTL_ADD, ready[0], EPOLLIN | EPOLLET);
	control(epoll, EPOLL_CTL_ADD, shared[0], EPOLLIN | EPOLLEXCLUSIVE);

	test_ready();

	CHECK_EQ(epoll_wait(epoll, found, 4, 0), 1);
	CHECK_EQ(found[0].data.fd, ready[0]);
	CHECK_EQ(epoll_wait(epoll, found, 4, 0), 0);
	control(epoll, EPOLL_CTL_MOD, hung[0], EPOLLIN | EPOLLONESHOT);
	CHECK_EQ(epoll_wait(epoll, found, 4, 0), 1);
	CHECK_EQ(found[0].data.fd, hung[0]);
	/* An exclusive watch cannot be modified: it still is one. */
	CHECK_EQ(write(shared[1], "a", 1), 1);
	CHECK_EQ(epoll_wait(epoll, found, 4, 0), 1);
	found[0] = (struct epoll_event){.events = EPOLLIN};
	CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, shared[0], &found[0]) == -1 && errno == EINVAL);
	test_passed();
}

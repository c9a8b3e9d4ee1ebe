/* EXPECT-REFUSAL: epoll */
/*
 * An epoll descriptor that still watches a file under a number that was closed:
 * a duplicate keeps the file open, and no call can make such an entry anew.
 */
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 42};
	int epoll = epoll_create1(0), fd = eventfd(1, 0), copy = dup(fd);

	CHECK(epoll >= 0 && fd >= 0 && copy >= 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(close(fd) == 0);

	test_ready();

	memset(&event, 0, sizeof(event));
	CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	CHECK_EQ(event.data.u64, 42);
	test_passed();
}

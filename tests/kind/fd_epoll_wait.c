/* A thread that waits in epoll_wait goes on waiting, and gets the event that comes afterwards. */
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

static int epoll, waiting;

static void *waiter(void *arg)
{
	struct epoll_event event;

	__atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
	/* One call: a return with EINTR would be the checkpoint's doing. */
	CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
	CHECK_EQ(event.data.u64, 42);
	return arg;
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 42};
	int fd = eventfd(0, 0);
	const uint64_t one = 1;
	pthread_t thread;

	epoll = epoll_create1(0);
	CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(pthread_create(&thread, NULL, waiter, NULL) == 0);
	while (!__atomic_load_n(&waiting, __ATOMIC_SEQ_CST))
		test_nap(1);
	test_nap(50);

	test_ready();

	CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
	CHECK(pthread_join(thread, NULL) == 0);
	test_passed();
}

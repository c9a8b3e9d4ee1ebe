/*
 * What an epoll descriptor watches: numbers, events and data, level and edge
 * triggered, disarmed one-shot entries, a duplicate, and an epoll within it.
 */
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

#define NESTED 0x1111222233334444

static int epoll_make(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The only event that there is now: its data; 0 when there is none. */
static uint64_t event(int epoll, uint32_t events)
{
	struct epoll_event found[8];
	int n = epoll_wait(epoll, found, 8, 0);

	CHECK(n == 0 || n == 1);
	if (n == 1)
		CHECK_EQ(found[0].events, events);
	return n == 1 ? found[0].data.u64 : 0;
}

static void post(int fd)
{
	const uint64_t one = 1;

	CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
}

static void drain(int fd)
{
	uint64_t value;

	CHECK_EQ(read(fd, &value, sizeof(value)), sizeof(value));
}

int main(void)
{
	int epoll = epoll_make(), inner = epoll_make(), level = eventfd(0, 0), edge = eventfd(0, 0);
	int once = eventfd(0, 0), deep = eventfd(0, 0), spare = eventfd(0, 0), copy;
	struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 33};

	copy = dup3(level, 500, 0);
	CHECK_EQ(copy, 500);
	add(epoll, level, EPOLLIN | EPOLLPRI, 11);
	add(epoll, edge, EPOLLIN | EPOLLET, 22);
	add(epoll, once, EPOLLIN | EPOLLONESHOT, 33);
	add(epoll, inner, EPOLLIN, NESTED);
	add(inner, deep, EPOLLIN, 44);
	add(inner, spare, 0, 55);
	post(once);
	CHECK_EQ(event(epoll, EPOLLIN), 33); /* which disarms it */
	CHECK_EQ(event(epoll, 0), 0);

	test_ready();

	CHECK_EQ(fcntl(epoll, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(event(epoll, 0), 0);
	post(level);
	CHECK_EQ(event(epoll, EPOLLIN), 11);
	CHECK_EQ(event(epoll, EPOLLIN), 11);
	drain(copy);
	CHECK_EQ(event(epoll, 0), 0);
	post(edge);
	CHECK_EQ(event(epoll, EPOLLIN), 22);
	CHECK_EQ(event(epoll, 0), 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, once, &again) == 0);
	CHECK_EQ(event(epoll, EPOLLIN), 33);
	post(deep);
	CHECK(event(epoll, EPOLLIN) == NESTED);
	CHECK_EQ(event(inner, EPOLLIN), 44);
	drain(deep);
	post(spare);
	CHECK_EQ(event(inner, 0), 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, edge, NULL) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, copy, NULL) == -1 && errno == ENOENT);
	test_passed();
}

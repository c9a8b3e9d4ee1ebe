/* A timer descriptor that ticks goes on ticking, and counts what was not read before. */
#include <stdint.h>
#include <sys/timerfd.h>

#include "check.h"

int main(void)
{
	struct itimerspec often = {.it_value = {0, 5000000}, .it_interval = {0, 10000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t ticks;

	CHECK(fd >= 0 && timerfd_settime(fd, 0, &often, NULL) == 0);
	test_nap(300);

	test_ready();

	CHECK_EQ(read(fd, &ticks, sizeof(ticks)), sizeof(ticks));
	CHECK(ticks >= 29);
	for (int i = 0; i < 3; i++)
		CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks >= 1);
	test_passed();
}

/* The three interval timers: none is further away than it was, and the intervals are the same. */
#include <sys/time.h>

#include "check.h"

#define TIMERS 3

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

int main(void)
{
	static const int which[TIMERS] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
	static const struct itimerval set[TIMERS] = {
		{.it_value = {360000, 0}, .it_interval = {7, 250000}},
		{.it_value = {50000, 500}, .it_interval = {1, 12000}},
		{.it_value = {40000, 0}, .it_interval = {0, 0}},
	};
	struct itimerval before[TIMERS], after;

	for (int i = 0; i < TIMERS; i++) {
		CHECK(setitimer(which[i], &set[i], NULL) == 0);
		CHECK(getitimer(which[i], &before[i]) == 0);
	}

	test_ready();

	for (int i = 0; i < TIMERS; i++) {
		CHECK(getitimer(which[i], &after) == 0);
		/* A tick of 10 ms more may be rounding; an hour less is a very slow machine. */
		CHECK(seconds(after.it_value) <= seconds(before[i].it_value) + 0.02);
		CHECK(seconds(after.it_value) > seconds(before[i].it_value) - 3600);
		CHECK_EQ(after.it_interval.tv_sec, before[i].it_interval.tv_sec);
		CHECK_EQ(after.it_interval.tv_usec, before[i].it_interval.tv_usec);
	}
	test_passed();
}

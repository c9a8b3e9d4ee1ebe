/* The slack that the main thread allows its timers, and the one that it goes back to by default. */
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	int fallback = prctl(PR_GET_TIMERSLACK);

	CHECK(fallback > 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 123456) == 0);

	test_ready();

	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 123456);
	CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0);
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), fallback);
	test_passed();
}

/* An alarm that is due soon comes, once. */
#include <signal.h>

#include "check.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	alarm(2);

	test_ready();

	for (int i = 0; i < 6000 && alarms == 0; i++)
		test_nap(10);
	CHECK_EQ(alarms, 1);
	CHECK_EQ(alarm(0), 0);
	test_nap(50);
	CHECK_EQ(alarms, 1);
	test_passed();
}

/* Interval timers that tick, by the clock and by the CPU time used, go on ticking. */
#include <signal.h>
#include <sys/time.h>

#include "check.h"

static volatile sig_atomic_t real_ticks, virtual_ticks, prof_ticks;

static void tick(int sig)
{
	if (sig == SIGALRM)
		real_ticks++;
	else if (sig == SIGVTALRM)
		virtual_ticks++;
	else
		prof_ticks++;
}

/* Uses CPU time until each timer has ticked twice more, a minute at most. */
static void await_ticks(void)
{
	int real = real_ticks + 2, virtual = virtual_ticks + 2, prof = prof_ticks + 2;
	time_t end = time(NULL) + 60;

	while (real_ticks < real || virtual_ticks < virtual || prof_ticks < prof)
		CHECK(time(NULL) < end);
}

int main(void)
{
	static const struct itimerval often = {.it_value = {0, 1000}, .it_interval = {0, 20000}};
	struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_RESTART};

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(sigaction(SIGVTALRM, &sa, NULL) == 0);
	CHECK(sigaction(SIGPROF, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	CHECK(setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
	CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
	await_ticks();

	test_ready();

	await_ticks();
	test_passed();
}

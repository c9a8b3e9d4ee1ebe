/* Who is told of input (F_SETOWN), by which signal (F_SETSIG): and the signal comes. */
#include <signal.h>

#include "check.h"

#define PIPES 3

static volatile sig_atomic_t sigio, realtime, realtime_fd;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGIO) {
		sigio++;
	} else {
		realtime++;
		realtime_fd = info->si_fd;
	}
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct f_owner_ex thread = {F_OWNER_TID, gettid()}, group = {F_OWNER_PGRP, getpgrp()}, now;
	int pipes[PIPES][2];

	CHECK(sigaction(SIGIO, &sa, NULL) == 0 && sigaction(SIGRTMIN + 3, &sa, NULL) == 0);
	for (int i = 0; i < PIPES; i++)
		CHECK(pipe(pipes[i]) == 0);
	CHECK(fcntl(pipes[0][0], F_SETOWN, getpid()) == 0);
	CHECK(fcntl(pipes[1][0], F_SETOWN_EX, &thread) == 0);
	CHECK(fcntl(pipes[1][0], F_SETSIG, SIGRTMIN + 3) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(fcntl(pipes[i][0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
	if (getpgrp() == getpid())
		CHECK(fcntl(pipes[2][0], F_SETOWN_EX, &group) == 0);

	test_ready();

	CHECK_EQ(sigio + realtime, 0);
	CHECK_EQ(fcntl(pipes[0][0], F_GETOWN), getpid());
	CHECK_EQ(fcntl(pipes[0][0], F_GETSIG), 0);
	CHECK(fcntl(pipes[1][0], F_GETOWN_EX, &now) == 0);
	CHECK(now.type == F_OWNER_TID && now.pid == gettid());
	CHECK_EQ(fcntl(pipes[1][0], F_GETSIG), SIGRTMIN + 3);
	if (getpgrp() == getpid()) {
		CHECK(fcntl(pipes[2][0], F_GETOWN_EX, &now) == 0);
		CHECK(now.type == F_OWNER_PGRP && now.pid == getpgrp());
	}
	CHECK_EQ(write(pipes[0][1], "x", 1), 1);
	CHECK_EQ(sigio, 1);
	CHECK_EQ(write(pipes[1][1], "x", 1), 1);
	CHECK_EQ(realtime, 1);
	CHECK_EQ(realtime_fd, pipes[1][0]);
	test_passed();
}

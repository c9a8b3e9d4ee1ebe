/* Signal descriptors: each has its mask, and gives the signals that wait, with their values. */
#include <signal.h>
#include <sys/signalfd.h>

#include "procfs.h"

static sigset_t set_of(int first, int second)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, first);
	sigaddset(&set, second);
	return set;
}

int main(void)
{
	sigset_t users = set_of(SIGUSR1, SIGUSR2), queued = set_of(SIGRTMIN, SIGRTMIN + 1);
	sigset_t rest = set_of(SIGHUP, SIGTERM), all;
	struct signalfd_siginfo info;
	int fds[3];
	char *masks[3];

	sigfillset(&all);
	CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	fds[0] = signalfd(-1, &users, SFD_NONBLOCK | SFD_CLOEXEC);
	fds[1] = signalfd(-1, &queued, SFD_NONBLOCK);
	fds[2] = signalfd(-1, &queued, SFD_NONBLOCK);
	CHECK(fds[2] == signalfd(fds[2], &rest, 0)); /* its mask was changed */
	for (int i = 0; i < 3; i++)
		masks[i] = fdinfo_value(fds[i], "sigmask");
	CHECK(kill(getpid(), SIGUSR2) == 0);
	CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 11}) == 0);
	CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 22}) == 0);

	test_ready();

	for (int i = 0; i < 3; i++)
		CHECK(strcmp(fdinfo_value(fds[i], "sigmask"), masks[i]) == 0);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(read(fds[0], &info, sizeof(info)), sizeof(info));
	CHECK_EQ(info.ssi_signo, SIGUSR2);
	CHECK_EQ(info.ssi_pid, getpid());
	for (int value = 11; value <= 22; value += 11) {
		CHECK_EQ(read(fds[1], &info, sizeof(info)), sizeof(info));
		CHECK_EQ(info.ssi_signo, SIGRTMIN + 1);
		CHECK_EQ(info.ssi_int, value);
	}
	for (int i = 0; i < 3; i++)
		CHECK(read(fds[i], &info, sizeof(info)) == -1 && errno == EAGAIN);
	CHECK(raise(SIGTERM) == 0);
	CHECK(read(fds[2], &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTERM);
	test_passed();
}

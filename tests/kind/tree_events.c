/*
 * What parent and child share since fork(2): an eventfd, a timerfd, a signalfd, an inotify, and
 * an epoll of all of them.  What the one does the other sees; signals are each one's own.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "check.h"

static int event_fd, timer, signals, notify, epoll, gate[2];

static void add(int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* The one descriptor that is ready within a second; -1: none now. */
static int ready(int patience)
{
	struct epoll_event found[4];
	int n = epoll_wait(epoll, found, 4, patience);

	CHECK(n == 0 || n == 1);
	return n ? found[0].data.fd : -1;
}

static void child(void)
{
	const struct itimerspec soon = {.it_value = {.tv_nsec = 1000}};
	const uint64_t five = 5;
	struct signalfd_siginfo info;
	char byte;

	CHECK_EQ(read(gate[0], &byte, 1), 1);
	CHECK_EQ(write(event_fd, &five, sizeof five), sizeof five);
	CHECK_EQ(read(gate[0], &byte, 1), 1);
	CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
	CHECK_EQ(read(gate[0], &byte, 1), 1);
	close(open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK_EQ(read(gate[0], &byte, 1), 1);
	/* Its own signals, by the description that is shared. */
	CHECK(raise(SIGUSR2) == 0);
	CHECK_EQ(read(signals, &info, sizeof info), sizeof info);
	CHECK_EQ(info.ssi_signo, SIGUSR2);
	CHECK_EQ(info.ssi_pid, getpid());
	_exit(0);
}

static void step(void)
{
	CHECK_EQ(write(gate[1], "x", 1), 1);
}

static pid_t set_up(void)
{
	const struct itimerspec late = {.it_value = {.tv_sec = 3600}};
	sigset_t mask;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0 && pipe(gate) == 0);
	CHECK(mkdirat(AT_FDCWD, "watched", 0700) == 0 && chdir("watched") == 0);
	event_fd = eventfd(2, EFD_NONBLOCK);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	signals = signalfd(-1, &mask, 0);
	notify = inotify_init1(IN_NONBLOCK);
	epoll = epoll_create1(0);
	CHECK(event_fd >= 0 && timer >= 0 && signals >= 0 && notify >= 0 && epoll >= 0);
	CHECK(inotify_add_watch(notify, ".", IN_CREATE) == 1);
	CHECK(timerfd_settime(timer, 0, &late, NULL) == 0);
	add(timer, EPOLLIN);
	add(signals, EPOLLIN);
	add(notify, EPOLLIN);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child();
	}
	CHECK(chdir("..") == 0);
	return pid;
}

int main(void)
{
	struct signalfd_siginfo info;
	char events[256];
	uint64_t count;
	int status;
	pid_t pid = set_up();

	test_ready();

	CHECK_EQ(read(event_fd, &count, sizeof count), sizeof count);
	CHECK_EQ(count, 2);
	add(event_fd, EPOLLIN);
	CHECK_EQ(ready(0), -1);
	step();
	CHECK_EQ(ready(1000), event_fd);
	CHECK_EQ(read(event_fd, &count, sizeof count), sizeof count);
	CHECK_EQ(count, 5);
	step();
	CHECK_EQ(ready(1000), timer);
	CHECK_EQ(read(timer, &count, sizeof count), sizeof count);
	CHECK_EQ(count, 1);
	step();
	CHECK_EQ(ready(1000), notify);
	CHECK(read(notify, events, sizeof events) > 0);
	CHECK(raise(SIGUSR1) == 0);
	CHECK_EQ(ready(1000), signals);
	CHECK_EQ(read(signals, &info, sizeof info), sizeof info);
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	step();
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	test_passed();
}

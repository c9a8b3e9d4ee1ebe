/*
 * pidfds of members: of a child, by which it is waited for; of a zombie; of a grandchild, in
 * the hands of its brother; and one of a process that had been waited for, twice.
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "procfs.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	CHECK(fd >= 0);
	return fd;
}

static pid_t spawn(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* The state that poll(2) sees: POLLIN when it has ended. */
static int ended(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents & POLLIN;
}

static pid_t number(int fd)
{
	return (pid_t)strtol(fdinfo_value(fd, "Pid"), NULL, 10);
}

/* Ends its brother by its pidfd as soon as the parent says so. */
static void brother(int told, int victim)
{
	char byte;

	CHECK_EQ(read(told, &byte, 1), 1);
	CHECK(syscall(SYS_pidfd_send_signal, victim, SIGTERM, NULL, 0) == 0);
	_exit(7);
}

int main(void)
{
	int tell[2], victim_fd, killer_fd, zombie_fd, gone, gone_again, epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5};
	pid_t victim, killer, zombie;
	siginfo_t info;

	CHECK(pipe(tell) == 0 && epoll >= 0);
	victim = spawn();
	if (victim == 0)
		for (;;)
			pause();
	victim_fd = open_pidfd(victim);
	killer = spawn();
	if (killer == 0)
		brother(tell[0], victim_fd);
	killer_fd = open_pidfd(killer);
	zombie = spawn();
	if (zombie == 0)
		_exit(3);
	zombie_fd = open_pidfd(zombie);
	CHECK(waitid(P_PIDFD, (id_t)zombie_fd, &info, WEXITED | WNOWAIT) == 0);
	gone = (int)spawn();
	if (gone == 0)
		_exit(9);
	zombie = gone;
	gone = open_pidfd(zombie);
	gone_again = open_pidfd(zombie);
	CHECK(waitpid(zombie, NULL, 0) == zombie);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, victim_fd, &event) == 0);

	test_ready();

	CHECK_EQ(number(victim_fd), victim);
	CHECK_EQ(number(killer_fd), killer);
	CHECK(!ended(victim_fd) && !ended(killer_fd) && ended(zombie_fd));
	CHECK(ended(gone) && ended(gone_again));
	CHECK_EQ(number(gone), -1);
	CHECK_EQ(number(gone_again), -1);
	/* EINVAL: in a private namespace, its place was taken by a process from outside of it. */
	CHECK(syscall(SYS_pidfd_send_signal, gone, SIGTERM, NULL, 0) == -1);
	CHECK(errno == ESRCH || errno == EINVAL);
	CHECK(waitid(P_PIDFD, (id_t)zombie_fd, &info, WEXITED) == 0);
	CHECK_EQ(info.si_status, 3);
	CHECK_EQ(number(zombie_fd), -1);
	CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
	CHECK_EQ(write(tell[1], "x", 1), 1);
	CHECK(waitid(P_PIDFD, (id_t)victim_fd, &info, WEXITED) == 0);
	CHECK_EQ(info.si_pid, victim);
	CHECK_EQ(info.si_status, SIGTERM);
	CHECK_EQ(epoll_wait(epoll, &event, 1, 1000), 1);
	CHECK(waitid(P_PIDFD, (id_t)killer_fd, &info, WEXITED) == 0);
	CHECK_EQ(info.si_pid, killer);
	CHECK_EQ(info.si_status, 7);
	test_passed();
}

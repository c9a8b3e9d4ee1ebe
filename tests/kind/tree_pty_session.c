/*
 * Shows: a session on a terminal whose master its parent has: the leader, without a descriptor of it,
 * its children, the group in the foreground and one in the background; ^C reaches the first alone,
 * the second is stopped when it reads, and the end of the terminal hangs up.
 */
#include "pty.h"

#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t caught;

static void note(int sig)
{
	caught = sig;
}

static void tell(int fd, char byte)
{
	CHECK_EQ(write(fd, &byte, 1), 1);
}

static char hear(int fd)
{
	char byte = 0;

	CHECK_EQ(read(fd, &byte, 1), 1);
	return byte;
}

/* In the foreground: tells of ^C, then reads a line. */
static void foreground(int slave, int out)
{
	struct sigaction action = {.sa_handler = note};
	char line[16];
	sigset_t block, old;
	int tty;

	CHECK(sigaction(SIGINT, &action, NULL) == 0);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	CHECK(sigprocmask(SIG_BLOCK, &block, &old) == 0);
	tell(out, 'f');
	while (!caught)
		sigsuspend(&old);
	CHECK_EQ(caught, SIGINT);
	CHECK_EQ(tcgetpgrp(slave), getpgrp());
	tty = open("/dev/tty", O_RDWR);
	CHECK(tty >= 0);
	tell(out, 'i');
	CHECK_EQ(read(tty, line, sizeof line), 5);
	CHECK(memcmp(line, "line\n", 5) == 0);
	tell(out, 'l');
	_exit(0);
}

/* In the background: ^C does not come, and reading stops it. */
static void background(int slave, int out, int in)
{
	char line[16];

	tell(out, 'b');
	CHECK_EQ(hear(in), 'r');
	(void)!read(slave, line, sizeof line);
	_exit(1);
}

static void lead(const struct pty *p, int out, int in)
{
	pid_t first, second;
	int status, group;

	CHECK(setsid() > 0);
	CHECK(close(p->master) == 0);
	CHECK(ioctl(p->slave, TIOCSCTTY, 0) == 0);
	CHECK(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
	first = fork();
	if (first == 0) {
		setpgid(0, 0);
		foreground(p->slave, out);
	}
	setpgid(first, first);
	second = fork();
	if (second == 0) {
		setpgid(0, 0);
		background(p->slave, out, in);
	}
	setpgid(second, second);
	CHECK(tcsetpgrp(p->slave, first) == 0);
	CHECK(close(p->slave) == 0);
	tell(out, 'd');
	CHECK_EQ(waitpid(first, &status, 0), first);
	CHECK_EQ(status, 0);
	CHECK_EQ(waitpid(second, &status, WUNTRACED), second);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), SIGTTIN);
	group = open("/dev/tty", O_RDWR);
	CHECK(group >= 0);
	CHECK_EQ(tcgetpgrp(group), first);
	CHECK_EQ(tcgetsid(group), getpid());
	tell(out, 's');
	for (;;)
		pause();
}

int main(void)
{
	struct pty p = pty_new(0);
	int out[2], in[2], status;
	pid_t leader;

	CHECK(pipe(out) == 0 && pipe(in) == 0);
	leader = fork();
	CHECK(leader >= 0);
	if (leader == 0)
		lead(&p, out[1], in[0]);
	CHECK(close(p.slave) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(strchr("fbd", hear(out[0])));

	test_ready();

	CHECK_EQ(write(p.master, "\003", 1), 1);
	CHECK_EQ(hear(out[0]), 'i');
	CHECK_EQ(write(p.master, "line\n", 5), 5);
	CHECK_EQ(hear(out[0]), 'l');
	tell(in[1], 'r');
	CHECK_EQ(hear(out[0]), 's');
	/* A hangup goes to the leader. */
	CHECK(close(p.master) == 0);
	CHECK_EQ(waitpid(leader, &status, 0), leader);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGHUP);
	test_passed();
}

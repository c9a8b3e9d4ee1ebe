/* Pseudo-terminals for the programs of tests/kind. */
#pragma once

#include "check.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

struct pty {
	int master, slave;
};

static inline unsigned int pty_number(const struct pty *p)
{
	unsigned int number = 0;

	CHECK(ioctl(p->master, TIOCGPTN, &number) == 0);
	return number;
}

static inline const char *pty_name(const struct pty *p)
{
	static char name[32];

	snprintf(name, sizeof name, "/dev/pts/%u", pty_number(p));
	return name;
}

/* flags: of the master, beside O_RDWR. */
static inline struct pty pty_new(int flags)
{
	struct pty p = {.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | flags)};
	int unlocked = 0;

	CHECK(p.master >= 0);
	CHECK(ioctl(p.master, TIOCSPTLCK, &unlocked) == 0);
	p.slave = open(pty_name(&p), O_RDWR | O_NOCTTY);
	CHECK(p.slave >= 0);
	return p;
}

static inline void pty_raw(const struct pty *p)
{
	struct termios modes;

	CHECK(tcgetattr(p->slave, &modes) == 0);
	cfmakeraw(&modes);
	CHECK(tcsetattr(p->slave, TCSANOW, &modes) == 0);
}

static inline bool pty_wait(int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	return poll(&poll_fd, 1, 5000) == 1 && (poll_fd.revents & events);
}

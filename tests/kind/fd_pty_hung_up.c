/* Shows: a terminal whose master is closed stays hung up, and its other side stays without a reader. */
#include "pty.h"

int main(void)
{
	struct pty p = pty_new(0), unopened = {.slave = -1};
	struct pollfd poll_fd;
	struct termios modes;
	char text[8];

	CHECK(fcntl(p.slave, F_SETFL, O_NONBLOCK) == 0);
	CHECK(close(p.master) == 0);
	unopened.master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(unopened.master >= 0);

	test_ready();

	CHECK_EQ(fcntl(p.slave, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	poll_fd = (struct pollfd){.fd = p.slave, .events = POLLIN};
	CHECK_EQ(poll(&poll_fd, 1, 0), 1);
	CHECK(poll_fd.revents & POLLHUP);
	CHECK_EQ(read(p.slave, text, sizeof text), 0);
	CHECK_EQ(write(p.slave, text, sizeof text), -1);
	CHECK_EQ(errno, EIO);
	CHECK_EQ(tcgetattr(p.slave, &modes), -1);
	CHECK_EQ(errno, EIO);

	/* One that nobody has opened yet is no hung up one. */
	CHECK_EQ(read(unopened.master, text, sizeof text), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK(grantpt(unopened.master) == 0 && unlockpt(unopened.master) == 0);
	unopened.slave = open(pty_name(&unopened), O_RDWR | O_NOCTTY);
	CHECK(unopened.slave >= 0);
	CHECK_EQ(write(unopened.slave, "works", 5), 5);
	CHECK(pty_wait(unopened.master, POLLIN));
	test_passed();
}

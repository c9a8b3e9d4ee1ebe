/*
 * Shows: a pseudo-terminal of which one process has both sides: its number if nobody takes it, size,
 * modes, TIOCEXCL, packet mode, lock, who may open it, status flags, and that it works afterwards.
 */
#include "pty.h"

int main(void)
{
	struct pty raw = pty_new(O_NONBLOCK), locked = pty_new(0), closed = pty_new(0);
	struct winsize size = {33, 101, 1010, 660};
	struct termios modes, now;
	struct stat st;
	char text[64];
	int yes = 1, on = 0, second;

	/* Padding as well, since all of it is compared. */
	memset(&modes, 0, sizeof modes);
	memset(&now, 0, sizeof now);
	pty_raw(&raw);
	CHECK(tcgetattr(raw.slave, &modes) == 0);
	modes.c_cc[VINTR] = 7;
	modes.c_cc[VMIN] = 3;
	modes.c_lflag |= ECHOCTL;
	CHECK(tcsetattr(raw.slave, TCSANOW, &modes) == 0);
	CHECK(ioctl(raw.slave, TIOCSWINSZ, &size) == 0);
	CHECK(fchmod(raw.slave, 0600) == 0);
	second = open(pty_name(&raw), O_WRONLY | O_NOCTTY | O_CLOEXEC);
	CHECK(second >= 0);
	CHECK(ioctl(raw.master, TIOCPKT, &yes) == 0);
	CHECK(ioctl(raw.slave, TIOCEXCL) == 0);
	CHECK(ioctl(locked.master, TIOCSPTLCK, &yes) == 0);
	CHECK(close(closed.slave) == 0);

	test_ready();

	memset(&size, 0, sizeof size);
	CHECK(ioctl(raw.master, TIOCGWINSZ, &size) == 0);
	CHECK_EQ(size.ws_row, 33);
	CHECK_EQ(size.ws_col, 101);
	CHECK_EQ(size.ws_xpixel, 1010);
	CHECK_EQ(size.ws_ypixel, 660);
	CHECK(tcgetattr(raw.slave, &now) == 0);
	CHECK(memcmp(&now, &modes, sizeof now) == 0);
	CHECK(fstat(raw.slave, &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(fcntl(raw.master, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(raw.slave, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	CHECK_EQ(fcntl(second, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
	CHECK_EQ(fcntl(second, F_GETFD), FD_CLOEXEC);
	CHECK(ioctl(raw.master, TIOCGPKT, &on) == 0);
	CHECK_EQ(on, 1);
	CHECK(ioctl(raw.slave, TIOCGEXCL, &on) == 0);
	CHECK_EQ(on, 1);
	CHECK(ioctl(raw.slave, TIOCNXCL) == 0);
	CHECK(ioctl(locked.master, TIOCGPTLCK, &on) == 0);
	CHECK_EQ(on, 1);
	CHECK(ioctl(raw.master, TIOCGPTLCK, &on) == 0);
	CHECK_EQ(on, 0);
	/* Both sides, and the third description, are of one terminal. */
	CHECK_EQ(pty_number(&raw), minor(st.st_rdev));
	CHECK(fstat(second, &st) == 0);
	CHECK_EQ(pty_number(&raw), minor(st.st_rdev));

	CHECK_EQ(write(raw.master, "typed", 5), 5);
	CHECK_EQ(read(raw.slave, text, sizeof text), 5);
	CHECK(memcmp(text, "typed", 5) == 0);
	CHECK_EQ(write(second, "shown", 5), 5);
	CHECK(pty_wait(raw.master, POLLIN));
	CHECK_EQ(read(raw.master, text, sizeof text), 6);
	CHECK(memcmp(text, "\0shown", 6) == 0);
	/* A change is noted for whoever reads in packet mode, and only now. */
	CHECK(ioctl(raw.slave, TCFLSH, TCIFLUSH) == 0);
	CHECK_EQ(read(raw.master, text, sizeof text), 1);
	CHECK_EQ(text[0], TIOCPKT_FLUSHREAD);
	CHECK_EQ(read(raw.master, text, sizeof text), -1);
	CHECK_EQ(errno, EAGAIN);

	CHECK_EQ(read(closed.master, text, sizeof text), -1);
	CHECK_EQ(errno, EIO);
	test_passed();
}

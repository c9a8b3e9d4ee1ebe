/*
 * Shows: what waits in pseudo-terminals stays where it was, in both directions: lines, an end of file,
 * a literal newline, the beginning of a line (which can still be erased), bytes in raw and packet mode,
 * queues that are full to the last byte; and output that is stopped, by ^S or tcflow(3).
 */
#include "pty.h"

#define MANY 65536

static char sent[MANY], got[MANY];

static void say(int fd, const char *text)
{
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void hear(int fd, const char *text)
{
	ssize_t n = read(fd, got, sizeof got);

	if (n != (ssize_t)strlen(text) || memcmp(got, text, (size_t)n) != 0) {
		fprintf(stderr, "read %zd bytes \"%.*s\", not \"%s\"\n", n, n > 0 ? (int)n : 0, got,
			text);
		_exit(1);
	}
}

static void set_nonblocking(int fd, bool on)
{
	CHECK(fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0) == 0);
}

/* As much as there is room for, in pieces. */
static ssize_t stuff(int to, int other, size_t piece)
{
	ssize_t sum = 0, n;

	set_nonblocking(to, true);
	for (int tries = 0; tries < 3; tries++) {
		while ((n = write(to, sent + sum, piece)) > 0)
			sum += n;
		CHECK(pty_wait(other, POLLIN));
	}
	set_nonblocking(to, false);
	return sum;
}

static void drain(int fd, ssize_t length)
{
	ssize_t sum = 0, n;

	set_nonblocking(fd, true);
	while (sum < length && (n = read(fd, got + sum, sizeof got - (size_t)sum)) > 0)
		sum += n;
	CHECK_EQ(sum, length);
	CHECK(memcmp(got, sent, (size_t)length) == 0);
	CHECK_EQ(read(fd, got, 1), -1);
	set_nonblocking(fd, false);
}

static void stop_by_character(const struct pty *p)
{
	struct pollfd poll_fd = {.fd = p->slave, .events = POLLOUT};

	say(p->master, "\023");
	while (poll(&poll_fd, 1, 0) == 1)
		test_nap(1);
}

int main(void)
{
	struct pty lines = pty_new(0), raw = pty_new(0), full = pty_new(0), back = pty_new(0),
		   held = pty_new(0), halted = pty_new(0), packets = pty_new(0), ended = pty_new(0);
	struct pty *const all_raw[] = {&raw, &full, &back, &packets};
	struct pollfd poll_fd;
	struct termios modes;
	ssize_t in, out, back_in;
	int yes = 1;

	for (size_t i = 0; i < MANY; i++)
		sent[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < 4; i++)
		pty_raw(all_raw[i]);

	/* "\\026" makes the newline a character; an end of file ends "half", and another is alone. */
	say(lines.master, "one\ntwo\nthr\026\nee\nhalf\004\004\nwo\026\004rx");
	say(raw.master, "a\nb\004c");
	say(raw.slave, "shown\n");
	in = stuff(full.master, full.slave, 7);
	out = stuff(full.slave, full.master, 1000);
	CHECK(in > 4096 && out > 4096);
	back_in = stuff(back.master, back.slave, 1792);
	CHECK(ioctl(packets.master, TIOCPKT, &yes) == 0);
	say(packets.slave, "packet");
	say(packets.master, "answer");
	stop_by_character(&held);
	CHECK(tcflow(halted.slave, TCOOFF) == 0);
	say(ended.master, "unread\n");
	CHECK(close(ended.slave) == 0);
	test_nap(50);

	test_ready();

	hear(lines.slave, "one\n");
	hear(lines.slave, "two\n");
	hear(lines.slave, "thr\nee\n");
	hear(lines.slave, "half");
	hear(lines.slave, "");
	hear(lines.slave, "\n");
	poll_fd = (struct pollfd){.fd = lines.slave, .events = POLLIN};
	CHECK_EQ(poll(&poll_fd, 1, 0), 0);
	/* Backspace: the x, and then the r, are taken back. */
	say(lines.master, "\177\177d\n");
	hear(lines.slave, "wo\004d\n");

	hear(raw.slave, "a\nb\004c");
	hear(raw.master, "shown\n");
	say(raw.master, "d");
	hear(raw.slave, "d");

	drain(full.slave, in);
	drain(full.master, out);
	drain(back.slave, back_in);

	CHECK_EQ(read(packets.master, got, sizeof got), 7);
	CHECK(memcmp(got, "\0packet", 7) == 0);
	hear(packets.slave, "answer");

	poll_fd = (struct pollfd){.fd = held.slave, .events = POLLOUT};
	CHECK_EQ(poll(&poll_fd, 1, 0), 0);
	say(held.master, "\021");
	CHECK(pty_wait(held.slave, POLLOUT));
	poll_fd.fd = halted.slave;
	CHECK_EQ(poll(&poll_fd, 1, 0), 0);
	say(halted.master, "\021");
	CHECK(tcflow(halted.slave, TCOON) == 0);
	CHECK(pty_wait(halted.slave, POLLOUT));
	CHECK(tcgetattr(lines.slave, &modes) == 0);
	CHECK((modes.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));

	/* Of a slave that is closed, too: whoever opens it reads on. */
	ended.slave = open(pty_name(&ended), O_RDWR | O_NOCTTY);
	CHECK(ended.slave >= 0);
	hear(ended.slave, "unread\n");
	test_passed();
}

/*
 * What waits in a pseudo-terminal: what the master wrote and the slave has not read, and the other
 * way.  The kernel shows it to nobody, and counts only complete lines; so it is read, and
 * written again, with modes in between that take no notice of any character.
 *
 * All of the tree stands still meanwhile, and nobody else has the terminal.  A helper does it, a
 * process of its own session which takes no signals: when the tool is killed in the middle, the
 * helper still puts everything back, and ends.
 */
#include "kind/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tty.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define STOP_CHARACTER 0x13

/* poll(2) also waits for bytes that are on their way within the kernel. */
static short ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static bool by_lines(const struct termios2 *modes)
{
	return (modes->c_lflag & ICANON) && !(modes->c_lflag & EXTPROC);
}

/* ---- Putting in ---- */

/* Modes in which nothing is echoed and every character is but itself; with lines, but for these. */
struct quiet {
	struct termios2 modes;
	uint8_t end_of_file, next, stop, start;
};

static bool ends_line(const struct termios2 *modes, uint8_t byte)
{
	bool second = modes->c_lflag & IEXTEN && byte == modes->c_cc[VEOL2];

	return byte == '\n' || (byte && (byte == modes->c_cc[VEOL] || second));
}

static uint8_t unused(const struct termios2 *modes, uint8_t from)
{
	while (ends_line(modes, from))
		from++;
	return from;
}

/*
 * What is read by lines stays so: the kernel forgets where lines end when that is changed.
 */
static struct quiet quiet_modes(const struct termios2 *modes)
{
	struct quiet q = {.modes = *modes};

	q.modes.c_iflag = q.modes.c_oflag = 0;
	q.modes.c_lflag = (modes->c_lflag & (ICANON | EXTPROC)) | IEXTEN;
	memset(q.modes.c_cc, 0, sizeof q.modes.c_cc);
	q.modes.c_cc[VMIN] = 1;
	if (!by_lines(modes))
		return q;
	q.modes.c_iflag = IXON;
	q.modes.c_cc[VEOL] = modes->c_cc[VEOL];
	q.modes.c_cc[VEOL2] = modes->c_lflag & IEXTEN ? modes->c_cc[VEOL2] : 0;
	q.modes.c_cc[VEOF] = q.end_of_file = unused(&q.modes, 1);
	q.modes.c_cc[VLNEXT] = q.next = unused(&q.modes, (uint8_t)(q.end_of_file + 1));
	q.modes.c_cc[VSTOP] = q.stop = unused(&q.modes, (uint8_t)(q.next + 1));
	q.modes.c_cc[VSTART] = q.start = unused(&q.modes, (uint8_t)(q.stop + 1));
	return q;
}

static bool is_special(const struct quiet *q, uint8_t byte)
{
	return ends_line(&q->modes, byte) ||
	       (byte && (byte == q->end_of_file || byte == q->next || byte == q->stop ||
			 byte == q->start));
}

/*
 * Of what one side writes, the kernel moves 4095 bytes to where the other side reads.  The rest waits
 * in buffers of a size as the write(2) that began them wanted, in steps of 256, that hold twice as many bytes.
 * There may be no new buffer when they are more than 8192 in size.  To get in whatever was in, the
 * first ones must be filled to the last byte, and the last one must be the largest.
 */
#define PIECE	    256
#define READABLE    4095
#define IN_BUFFERS  16384
#define LARGE_PIECE 1792

static int write_piece(int to, const uint8_t *bytes, size_t length)
{
	ssize_t n = write(to, bytes, length);

	/* Perhaps what was written before is still being moved. */
	for (int tries = 0; n < 0 && errno == EAGAIN && tries < 100; tries++) {
		usleep(200);
		n = write(to, bytes, length);
	}
	if (n < 0)
		return errno == EAGAIN ? -ENOSPC : -errno;
	return (int)n;
}

static int put(int to, const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	while (at < length) {
		size_t left = length - at;
		/* The first byte of a buffer is taken already: see begin_buffer(). */
		size_t piece = at == 0 ? PIECE - 1
			     : at < READABLE + IN_BUFFERS ? PIECE : LARGE_PIECE;
		int n = write_piece(to, bytes + at, left < piece ? left : piece);

		if (n < 0)
			return n;
		at += (size_t)n;
	}
	return 0;
}

/* Reads away so many bytes; the first of each read(2) in packet mode is none of them. */
static int swallow(int from, size_t length, bool packet)
{
	struct pollfd p = {.fd = from, .events = POLLIN};
	uint8_t bytes[2048];

	while (length > 0) {
		ssize_t n = poll(&p, 1, 1000) == 1 ? read(from, bytes, sizeof bytes) : -1;

		if (n <= 0)
			return -EIO;
		length -= packet ? (size_t)n - 1 : (size_t)n;
	}
	return 0;
}

/*
 * Whatever the last buffer has room for: the next byte that is written will be the second of a
 * small one.  The first three pieces lead to a buffer of known size and use, with room for the fourth.
 */
static int begin_buffer(int to, int other, bool packet)
{
	static const size_t pieces[] = {1792, 1000, 1100, 1460, 1};
	static const uint8_t nothing[LARGE_PIECE];
	int r = 0;

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0] && r >= 0; i++) {
		r = write_piece(to, nothing, pieces[i]);
		if (r >= 0)
			r = swallow(other, (size_t)r, packet);
	}
	return r;
}

static int put_line(int master, const struct quiet *quiet, const uint8_t *text,
		    const struct queue_line *line)
{
	uint8_t *bytes = malloc(2 * (size_t)line->length + 1);
	size_t n = 0;
	int r;

	if (!bytes)
		return -ENOMEM;
	for (uint32_t i = 0; i < line->length; i++) {
		bool last = i == line->length - 1 && line->end == REC__TERMINAL_INPUT__END__LINE;

		if (is_special(quiet, text[i]) && !last)
			bytes[n++] = quiet->next;
		bytes[n++] = text[i];
	}
	if (line->end == REC__TERMINAL_INPUT__END__END_OF_FILE)
		bytes[n++] = quiet->end_of_file;
	r = put(master, bytes, n);
	free(bytes);
	return r;
}

/* The slave is writable, or is not: within a second. */
static int await_writable(int slave, bool writable)
{
	for (int tries = 0; tries < 5000; tries++) {
		if (((ready(slave, POLLOUT) & POLLOUT) != 0) == writable)
			return 0;
		usleep(200);
	}
	return -ETIMEDOUT;
}

/* How far the kernel is tells only what a character does that comes behind. */
static int await_lines(int master, int slave, const struct quiet *quiet)
{
	int r = put(master, &quiet->stop, 1);

	if (r == 0)
		r = await_writable(slave, false);
	if (r == 0)
		r = put(master, &quiet->start, 1);
	return r < 0 ? r : await_writable(slave, true);
}

static int await_bytes(int slave, size_t length)
{
	for (int tries = 0; tries < 5000; tries++) {
		int waiting = 0;

		if (ioctl(slave, FIONREAD, &waiting) < 0)
			return -errno;
		if ((size_t)waiting >= (length < READABLE ? length : READABLE))
			return 0;
		usleep(200);
	}
	return -ETIMEDOUT;
}

/* What is written is looked at a little later: the modes must not change before. */
static int put_input(int master, int slave, const struct termios2 *modes, const struct quiet *quiet,
		     const struct terminal_queues *q)
{
	const uint8_t *text = q->input;
	int r = 0;

	if (!by_lines(modes)) {
		r = put(master, q->input, q->input_length);
		return r < 0 ? r : await_bytes(slave, q->input_length);
	}
	for (uint32_t i = 0; i < q->n_input && r == 0; i++) {
		r = put_line(master, quiet, text, &q->lines[i]);
		text += q->lines[i].length;
	}
	return r < 0 || !q->n_input ? r : await_lines(master, slave, quiet);
}

/* The slave's output stops as if VSTOP had been typed: tcflow(3) would wait for another tcflow(3). */
static int stop_output(int master, int slave, const struct quiet *quiet,
		       const struct terminal_queues *q)
{
	struct termios2 modes = quiet->modes;
	const uint8_t stop = STOP_CHARACTER;
	int r;

	if (q->stopped_by_call)
		return ioctl(slave, TCXONC, TCOOFF) < 0 ? -errno : 0;
	if (!q->stopped_by_character)
		return 0;
	modes.c_iflag = IXON;
	modes.c_cc[VSTOP] = STOP_CHARACTER;
	if (ioctl(master, TCSETS2, &modes) < 0)
		return -errno;
	r = put(master, &stop, 1);
	return r < 0 ? r : await_writable(slave, false);
}

/* Only where more waits than what can be read it matters how it got there. */
static int begin_buffers(int master, int slave, const struct quiet *quiet,
			 const struct terminal_queues *q)
{
	struct termios2 raw = quiet->modes;
	int packet = 0, r = 0;

	raw.c_iflag = raw.c_lflag = 0;
	if (ioctl(master, TCSETS2, &raw) < 0 || ioctl(master, TIOCGPKT, &packet) < 0)
		return -errno;
	if (q->input_length >= READABLE)
		r = begin_buffer(master, slave, false);
	if (r == 0 && q->output_length >= READABLE)
		r = begin_buffer(slave, master, packet);
	return r;
}

static int put_all(int master, int slave, const struct termios2 *modes,
		   const struct terminal_queues *q)
{
	const struct quiet quiet = quiet_modes(modes);
	int r = begin_buffers(master, slave, &quiet, q);

	if (r == 0 && ioctl(master, TCSETS2, &quiet.modes) < 0)
		r = -errno;
	if (r == 0)
		r = put_input(master, slave, modes, &quiet, q);
	if (r == 0)
		r = put(slave, q->output, q->output_length);
	return r < 0 ? r : stop_output(master, slave, &quiet, q);
}

int terminal_queues_put(int master, int slave, const struct termios2 *modes,
			const struct terminal_queues *q)
{
	int flags = fcntl(master, F_GETFL), r = 0;

	if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = put_all(master, slave, modes, q);
	if (ioctl(master, TCSETS2, modes) < 0 && r == 0)
		r = -errno;
	if (flags >= 0 && fcntl(master, F_SETFL, flags) < 0 && r == 0)
		r = -errno;
	return r;
}

/* ---- Taking out ---- */

/* In packet mode every read(2) begins with a byte that says that data follows. */
static void take_output(int master, bool packet, struct terminal_queues *q)
{
	while (q->output_length < QUEUE_MAX && (ready(master, POLLIN) & POLLIN)) {
		uint8_t *at = q->output + q->output_length;
		ssize_t n = read(master, at, QUEUE_MAX - q->output_length);

		if (n <= 0)
			return;
		if (packet)
			memmove(at, at + 1, (size_t)--n);
		q->output_length += (uint32_t)n;
	}
}

/* The slave is not writable although there is room. */
static void note_stop(int slave, struct terminal_queues *q)
{
	if (ready(slave, POLLOUT) & POLLOUT)
		return;
	ioctl(slave, TCXONC, TCOON);
	q->stopped_by_call = (ready(slave, POLLOUT) & POLLOUT) != 0;
	q->stopped_by_character = !q->stopped_by_call;
	if (q->stopped_by_call)
		return;
	/* It starts again for the time. */
	ioctl(slave, TCXONC, TCOOFF);
	ioctl(slave, TCXONC, TCOON);
}

/* One line, or what there is where modes know of no lines; false: there is nothing. */
static bool take_line(int slave, struct terminal_queues *q, const struct termios2 *modes)
{
	uint8_t *text = q->input + q->input_length;
	struct queue_line *line = &q->lines[q->n_input];
	ssize_t n;

	if (q->n_input == QUEUE_MAX || q->input_length == QUEUE_MAX)
		return false;
	n = read(slave, text, QUEUE_MAX - q->input_length);
	if (n < 0 || (n == 0 && !by_lines(modes)))
		return false;
	q->input_length += (uint32_t)n;
	if (!by_lines(modes) && q->n_input && !line[-1].end) {
		line[-1].length += (uint32_t)n;
		return true;
	}
	*line = (struct queue_line){.length = (uint32_t)n};
	if (by_lines(modes))
		line->end = n > 0 && ends_line(modes, text[n - 1])
				    ? REC__TERMINAL_INPUT__END__LINE
				    : REC__TERMINAL_INPUT__END__END_OF_FILE;
	q->n_input++;
	return true;
}

/*
 * In the program's modes, until nothing is on its way any more: what was typed before takes its effect,
 * and what it echoes is taken as well.  What has stopped starts when modes change.
 */
static void take_all(int master, int slave, const struct termios2 *modes, bool packet,
		     struct terminal_queues *q)
{
	struct termios2 raw = quiet_modes(modes).modes;

	while (take_line(slave, q, modes))
		;
	take_output(master, packet, q);
	note_stop(slave, q);
	take_output(master, packet, q);
	raw.c_iflag = raw.c_lflag = 0;
	if (!by_lines(modes) || ioctl(master, TCSETS2, &raw) < 0)
		return;
	/* The beginning of a line can be read only as something else. */
	while (take_line(slave, q, &raw))
		;
}

/* Another description of the slave, for which a lock and TIOCEXCL are lifted: both are put back. */
static int open_slave(int master, int slave, struct terminal_queues *q)
{
	int locked = 0, unlocked = 0, exclusive = 0, fd, r;

	ioctl(master, TIOCGPTLCK, &locked);
	if (slave >= 0)
		ioctl(slave, TIOCGEXCL, &exclusive);
	if (locked)
		ioctl(master, TIOCSPTLCK, &unlocked);
	if (exclusive)
		ioctl(slave, TIOCNXCL);
	fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	r = fd < 0 ? -errno : fd;
	if (exclusive)
		ioctl(slave, TIOCEXCL);
	if (locked)
		ioctl(master, TIOCSPTLCK, &locked);
	if (fd >= 0 && (ioctl(fd, TIOCGEXCL, &exclusive) < 0 ||
			ioctl(fd, TIOCGETD, &q->discipline) < 0))
		r = -errno;
	q->exclusive = exclusive;
	return r;
}

/* The changed modes have made a note for a master in packet mode, where there was none. */
static void forget_note(int master)
{
	uint8_t note;

	if (ready(master, POLLPRI) & POLLPRI)
		(void)!read(master, &note, 1);
}

/* The helper of a tool that was killed a moment ago may still be at it: for some milliseconds. */
static void await_others(int slave)
{
	for (int tries = 0; flock(slave, LOCK_EX | LOCK_NB) < 0 && tries < 500; tries++)
		usleep(200);
}

static int take_and_put(int master, int given_slave, struct terminal_queues *q)
{
	int slave = open_slave(master, given_slave, q), packet = 0, r;
	struct termios2 modes;

	if (slave < 0)
		return slave;
	if (q->discipline != N_TTY)
		return -ENOTSUP;
	await_others(slave);
	if (ioctl(master, TCGETS2, &modes) < 0 || ioctl(master, TIOCGPKT, &packet) < 0)
		return -errno;
	take_all(master, slave, &modes, packet, q);
	r = terminal_queues_put(master, slave, &modes, q);
	if (packet)
		forget_note(master);
	return r;
}

/* ---- The helper ---- */

struct terminal_queues *terminal_queues_new(void)
{
	struct terminal_queues *q = mmap(NULL, sizeof *q, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return q == MAP_FAILED ? NULL : q;
}

void terminal_queues_free(struct terminal_queues **q)
{
	if (*q)
		munmap(*q, sizeof **q);
	*q = NULL;
}

static _Noreturn void help(int master, int slave, struct terminal_queues *q)
{
	/* Whoever ends the tool's process group, or its terminal, does not end us. */
	setsid();
	_exit(-take_and_put(master, slave, q) & 0xff);
}

struct terminal_queues *terminal_queues_read(int master, int slave, struct error **err)
{
	struct terminal_queues *q = terminal_queues_new();
	int status = 0;
	sigset_t all, old;
	pid_t pid;

	if (!q) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	/* Without a signal at its end: it is no child that the caller of the library has to know. */
	pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (pid == 0)
		help(master, slave, q);
	while (pid > 0 && waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		fail_errno(err, errno, "cannot look into a terminal");
	else if (!WIFEXITED(status))
		fail(err, EIO, "a terminal could not be looked into: the helper was ended");
	else if (WEXITSTATUS(status))
		fail_errno(err, WEXITSTATUS(status), "a terminal cannot be looked into");
	else
		return q;
	terminal_queues_free(&q);
	return NULL;
}

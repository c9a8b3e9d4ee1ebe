/*
 * Masters of pseudo-terminals: what makes a program a terminal emulator, a multiplexer, a recorder.
 *
 * A terminal whose master is in the tree is the tree's own: it is made anew, with its modes, size,
 * locks, and what waits in it.  It has its old number when that is free, and else another one.
 */
#include "kind/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/calls.h"
#include "priv/priv.h"
#include "task/append.h"
#include "task/description.h"
#include "task/path.h"
#include "task/terminal.h"

#define MASTER_STATUS (O_APPEND | O_ASYNC | O_NONBLOCK)

static bool master_claims(const struct file *f)
{
	return f->own >= 0 && S_ISCHR(f->st.st_mode) && !(f->flags & O_PATH) &&
	       terminal_of_master(f->own) >= 0;
}

/* ---- Capture ---- */

static short pending(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static int fill_pair(const struct file *f, Rec__TerminalMaster *m)
{
	struct termios2 modes;
	struct winsize size;
	int locked = 0, packet = 0;
	struct termios fixed, none = {0};

	memset(&fixed, 0, sizeof fixed);
	if (ioctl(f->own, TCGETS2, &modes) < 0 || ioctl(f->own, TIOCGWINSZ, &size) < 0 ||
	    ioctl(f->own, TIOCGPTLCK, &locked) < 0 || ioctl(f->own, TIOCGPKT, &packet) < 0)
		return -errno;
	m->rows = size.ws_row;
	m->columns = size.ws_col;
	m->width = size.ws_xpixel;
	m->height = size.ws_ypixel;
	m->locked = locked;
	m->packet = packet;
	m->path = strdup(f->link);
	if (!m->path || bytes_set(&m->termios, &modes, sizeof modes) < 0)
		return -ENOMEM;
	if (ioctl(f->own, TIOCGLCKTRMIOS, &fixed) < 0)
		return -errno;
	return memcmp(&fixed, &none, sizeof none) ? bytes_set(&m->termios_locked, &fixed, sizeof fixed)
						  : 0;
}

static int record_queues(const struct terminal_queues *q, Rec__TerminalMaster *m)
{
	const uint8_t *text = q->input;

	m->exclusive = q->exclusive;
	m->stopped = q->stopped_by_call	       ? REC__TERMINAL_MASTER__STOPPED__BY_CALL
		     : q->stopped_by_character ? REC__TERMINAL_MASTER__STOPPED__BY_CHARACTER
					       : REC__TERMINAL_MASTER__STOPPED__NO;
	for (uint32_t i = 0; i < q->n_input; i++) {
		Rec__TerminalInput *in = message_append(&m->input, &m->n_input,
							&rec__terminal_input__descriptor);

		if (!in || bytes_set(&in->text, text, q->lines[i].length) < 0)
			return -ENOMEM;
		in->end = q->lines[i].end;
		text += q->lines[i].length;
	}
	return q->output_length ? bytes_set(&m->output, q->output, q->output_length) : 0;
}

/* Nothing waits: nothing has to be touched.  Of what is read by lines only complete ones are seen. */
static bool is_idle(const struct file *master, const struct file *slave)
{
	struct termios2 modes;
	int exclusive = 1, discipline = -1, waiting = 1;

	return slave && !(pending(master->own, POLLIN) & POLLIN) &&
	       (pending(slave->own, POLLIN | POLLOUT) & (POLLIN | POLLOUT)) == POLLOUT &&
	       ioctl(slave->own, FIONREAD, &waiting) == 0 && !waiting &&
	       ioctl(slave->own, TCGETS2, &modes) == 0 && !(modes.c_lflag & ICANON) &&
	       ioctl(slave->own, TIOCGEXCL, &exclusive) == 0 && !exclusive &&
	       ioctl(slave->own, TIOCGETD, &discipline) == 0 && discipline == 0;
}

/* Modes that cannot be changed: what is seen to wait cannot be put back as it was. */
static int capture_locked(const struct file *master, const struct file *slave,
			  Rec__TerminalMaster *m, struct error **err)
{
	int exclusive = 0;

	if ((pending(master->own, POLLIN) & POLLIN) ||
	    (slave && (pending(slave->own, POLLIN) & POLLIN)))
		return refuse(err, EBUSY, "try again when it has been read",
			      "something waits in /dev/pts/%u, whose modes are locked", m->number);
	if (slave && ioctl(slave->own, TIOCGEXCL, &exclusive) == 0)
		m->exclusive = exclusive;
	return 0;
}

static int capture_queues(struct capture *c, const struct file *f, Rec__TerminalMaster *m,
			  struct error **err)
{
	const struct file *slave = terminal_slave(c, (int)m->number, O_RDONLY);
	cleanup_queues struct terminal_queues *q = NULL;
	cleanup_error struct error *found = NULL;

	if (!slave)
		slave = terminal_slave(c, (int)m->number, O_WRONLY);
	/* The master is told of a hangup once the last descriptor of the slave is closed. */
	m->opened = slave || (pending(f->own, POLLIN) & POLLHUP);
	if (!m->opened || is_idle(f, slave))
		return 0;
	if (m->termios_locked.len)
		return capture_locked(f, slave, m, err);
	q = terminal_queues_read(f->own, slave ? slave->own : -1, &found);
	if (!q) {
		error_wrap(&found, 0, "/dev/pts/%u", m->number);
		error_merge(err, &found);
		return -EIO;
	}
	return record_queues(q, m) < 0 ? fail(err, ENOMEM, "out of memory") : 0;
}

static int capture_pair(struct capture *c, const struct file *f, Rec__TerminalMaster *m,
			struct error **err)
{
	cleanup_free char *name = file_describe(f);
	struct holder holder;
	int r;

	m->number = (uint32_t)terminal_of_master(f->own);
	if ((f->flags & O_ACCMODE) != O_RDWR)
		return refuse(err, ENOTSUP, NULL,
			      "%s is the master of a pseudo-terminal for one direction only", name);
	if (terminal_outside(c, (int)m->number, &holder))
		return refuse(err, ENOTSUP, "end that process, or checkpoint one that it descends from",
			      "%s is the master of /dev/pts/%u, which process %d (%s) has open as well",
			      name, m->number, holder.pid, holder.name);
	if (pending(f->own, POLLPRI) & POLLPRI)
		return refuse(err, EBUSY, "try again",
			      "%s has a note of packet mode that the program has not read yet", name);
	r = fill_pair(f, m);
	if (r < 0)
		return fail_errno(err, -r, "%s", name);
	return capture_queues(c, f, m, err);
}

static int master_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			  struct error **err)
{
	Rec__TerminalMaster *m = kind_message(&kind_terminal_master);
	int r = m ? capture_pair(c, f, m, err) : fail(err, ENOMEM, "out of memory");

	if (r < 0)
		message_free(m ? &m->base : NULL);
	else
		*ret = &m->base;
	return r;
}

/* ---- The record ---- */

static int validate_queues(const Rec__TerminalMaster *m, struct error **err)
{
	size_t size = 0;

	for (size_t i = 0; i < m->n_input; i++) {
		const Rec__TerminalInput *in = m->input[i];
		bool complete = in->end == REC__TERMINAL_INPUT__END__LINE ||
				in->end == REC__TERMINAL_INPUT__END__END_OF_FILE;

		if ((!complete && (in->end || i + 1 < m->n_input)) || in->text.len > QUEUE_MAX ||
		    (in->end == REC__TERMINAL_INPUT__END__LINE && !in->text.len))
			return fail(err, EINVAL, "a terminal with impossible lines");
		size += in->text.len;
	}
	if (m->n_input > QUEUE_MAX || size > QUEUE_MAX || m->output.len > QUEUE_MAX)
		return fail(err, EINVAL, "a terminal with more than can wait in one");
	if (!m->opened && (size || m->output.len || m->stopped))
		return fail(err, EINVAL, "a terminal that was used and never opened");
	return 0;
}

static int master_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__TerminalMaster *m = (const Rec__TerminalMaster *)message;
	int r = path_validate_file(m->file, S_IFCHR, err);

	if (r < 0)
		return r;
	if ((m->file->flags & O_ACCMODE) != O_RDWR || !path_valid(m->path) ||
	    !str_ends(m->path, "/ptmx") || m->number > INT_MAX ||
	    m->termios.len != sizeof(struct termios2) ||
	    (m->termios_locked.len && m->termios_locked.len != sizeof(struct termios)) ||
	    m->rows > UINT16_MAX || m->columns > UINT16_MAX || m->width > UINT16_MAX ||
	    m->height > UINT16_MAX ||
	    m->stopped > REC__TERMINAL_MASTER__STOPPED__BY_CALL)
		return fail(err, EINVAL, "a pseudo-terminal that makes no sense");
	return validate_queues(m, err);
}

/* ---- Restore ---- */

/* The name that it was opened by may be a link to the other one. */
static int open_multiplexer(int root, const char *path)
{
	const char *const paths[] = {path, "/dev/ptmx", "/dev/pts/ptmx"};
	int fd = -ENOENT, first = 0;

	for (size_t i = 0; i < 3; i++) {
		fd = path_open(root, paths[i], O_RDWR | O_NOCTTY);
		if (fd >= 0 && terminal_of_master(fd) >= 0)
			return fd;
		if (fd >= 0) {
			close(fd);
			fd = -ENODEV;
		}
		first = first ? first : fd;
	}
	return first;
}

static int master_check(const struct rebuild *r, const ProtobufCMessage *message,
			struct error **err)
{
	const Rec__TerminalMaster *m = (const Rec__TerminalMaster *)message;
	cleanup_close int fd = open_multiplexer(AT_FDCWD, m->path);

	(void)r;
	if (fd < 0)
		return refuse(err, -fd, "mount devpts on /dev/pts",
			      "no pseudo-terminal can be made: %s: %s", m->path, strerror(-fd));
	if (m->termios_locked.len && !priv_can(PRIV_TERMINAL_LOCKS))
		return refuse(err, EPERM, "give the tool CAP_CHECKPOINT_RESTORE",
			      "the program's terminal /dev/pts/%u has locked modes, which you may not "
			      "set", m->number);
	return 0;
}

/* Some master of the image would like to have the number. */
static bool is_wanted(const struct rebuild *r, int number)
{
	vec_each(f, &r->files)
		if (f->kind == &kind_terminal_master &&
		    ((const Rec__TerminalMaster *)f->message)->number == (uint32_t)number)
			return true;
	return false;
}

/*
 * The kernel gives the lowest number that is free: those before the old one are taken until it comes
 * up.  When it is in use, the lowest that is not another's is as good as any.
 */
static int open_numbered(const struct rebuild *r, const Rec__TerminalMaster *m, struct error **err)
{
	VEC(int) taken = {0};
	int best = -1, fd, number;

	do {
		int *slot;

		fd = open_multiplexer(r->root, m->path);
		number = fd < 0 ? -1 : terminal_of_master(fd);
		slot = fd < 0 ? NULL : vec_push(&taken);
		if (!slot) {
			close_fdp(&fd);
			break;
		}
		*slot = fd;
		if (number == (int)m->number || (best < 0 && !is_wanted(r, number)))
			best = fd;
	} while (number < (int)m->number || best < 0);
	vec_each(it, &taken)
		if (*it != best)
			close(*it);
	vec_free(&taken);
	return best >= 0 ? best : fail(err, EAGAIN, "no pseudo-terminal can be made");
}

/* The pair that a master's record stands for; its fds[0] is the master. */
static int make_pair(struct rebuild *r, uint32_t id, struct error **err)
{
	const struct rebuilt_file *f = rebuilt_file(r, id);
	struct rebuilt_shared *s;
	int unlocked = 0;

	if (!f || f->kind != &kind_terminal_master)
		return fail(err, EINVAL, "the image has a terminal without its master");
	s = rebuilt_share(r, kind_terminal_master.tag, id);
	if (!s)
		return fail(err, ENOMEM, "out of memory");
	if (s->fds[0] >= 0)
		return s->fds[0];
	s->fds[0] = open_numbered(r, (const Rec__TerminalMaster *)f->message, err);
	if (s->fds[0] < 0)
		return s->fds[0];
	if (ioctl(s->fds[0], TIOCSPTLCK, &unlocked) < 0)
		return fail_errno(err, errno, "cannot unlock a pseudo-terminal");
	return s->fds[0];
}

int terminal_open_slave(struct rebuild *r, uint32_t master, int flags, struct error **err)
{
	int pair = make_pair(r, master, err);
	int fd = pair < 0 ? -1 : ioctl(pair, TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC);

	if (pair < 0)
		return pair;
	return fd < 0 ? fail_errno(err, errno, "cannot open a pseudo-terminal") : fd;
}

int terminal_open_hung_up(int flags, struct error **err)
{
	cleanup_close int master = open_multiplexer(AT_FDCWD, "/dev/ptmx");
	int unlocked = 0, fd;

	if (master < 0)
		return fail_errno(err, -master, "cannot make a pseudo-terminal");
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return fail_errno(err, errno, "cannot unlock a pseudo-terminal");
	fd = ioctl(master, TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, errno, "cannot open a pseudo-terminal") : fd;
}

static int master_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	int pair = make_pair(r, f->id, err);
	int fd = pair < 0 ? pair : fcntl(pair, F_DUPFD_CLOEXEC, 3);

	if (pair < 0)
		return pair;
	return fd < 0 ? fail_errno(err, errno, "cannot open a pseudo-terminal") : fd;
}

static void queues_of_record(const Rec__TerminalMaster *m, struct terminal_queues *q)
{
	q->stopped_by_call = m->stopped == REC__TERMINAL_MASTER__STOPPED__BY_CALL;
	q->stopped_by_character = m->stopped == REC__TERMINAL_MASTER__STOPPED__BY_CHARACTER;
	for (size_t i = 0; i < m->n_input; i++) {
		const ProtobufCBinaryData *text = &m->input[i]->text;

		q->lines[i] = (struct queue_line){(uint32_t)text->len, m->input[i]->end};
		if (text->len)
			memcpy(q->input + q->input_length, text->data, text->len);
		q->input_length += (uint32_t)text->len;
	}
	q->n_input = (uint32_t)m->n_input;
	if (m->output.len)
		memcpy(q->output, m->output.data, m->output.len);
	q->output_length = (uint32_t)m->output.len;
}

/* With the slave open for the time: what waits, and what is set at it. */
static int fill_slave(int master, const Rec__TerminalMaster *m, const struct termios2 *modes,
		      struct error **err)
{
	cleanup_queues struct terminal_queues *q = terminal_queues_new();
	cleanup_close int slave = -1;
	int r;

	if (!q)
		return fail(err, ENOMEM, "out of memory");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (slave < 0)
		return fail_errno(err, errno, "cannot open a pseudo-terminal");
	queues_of_record(m, q);
	r = terminal_queues_put(master, slave, modes, q);
	if (r < 0)
		return fail_errno(err, -r, "cannot fill a pseudo-terminal");
	if (m->exclusive && ioctl(slave, TIOCEXCL) < 0)
		return fail_errno(err, errno, "TIOCEXCL");
	return 0;
}

/* All descriptions of both sides are open: what would have kept us from opening them comes last. */
static int master_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__TerminalMaster *m = (const Rec__TerminalMaster *)f->message;
	const struct winsize size = {(unsigned short)m->rows, (unsigned short)m->columns,
				     (unsigned short)m->width, (unsigned short)m->height};
	struct termios2 modes;
	int yes = 1, n = 0;

	(void)r;
	memcpy(&modes, m->termios.data, sizeof modes);
	if (m->opened)
		n = fill_slave(f->fd, m, &modes, err);
	if (n < 0)
		return n;
	if (ioctl(f->fd, TCSETS2, &modes) < 0 || ioctl(f->fd, TIOCSWINSZ, &size) < 0 ||
	    (m->packet && ioctl(f->fd, TIOCPKT, &yes) < 0) ||
	    (m->locked && ioctl(f->fd, TIOCSPTLCK, &yes) < 0))
		return fail_errno(err, errno, "cannot set up a pseudo-terminal");
	n = m->termios_locked.len ? priv_lock_modes(f->fd, m->termios_locked.data) : 0;
	if (n < 0)
		return fail_errno(err, -n, "cannot lock the modes of a pseudo-terminal");
	return description_set_status(f->fd, m->file->flags, MASTER_STATUS, err);
}

const struct kind kind_terminal_master = {
	.name = "terminal master",
	.tag = 170,
	.schema = &rec__terminal_master__descriptor,
	.file = &(const struct file_ops){
		.claims = master_claims,
		.capture = master_capture,
		.validate = master_validate,
		.check = master_check,
		.open = master_open,
		.fill_done = master_fill_done,
	},
};

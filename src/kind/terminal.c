/*
 * Terminals: the slave side of a pty, a console, /dev/tty.
 *
 * A terminal belongs to the user, not to the program: the program comes back on the one
 * that the restore has, with its modes (echo, raw, special characters) but with the
 * new window's size.  The other side of a pty is what makes a program a terminal
 * emulator, and is not supported.
 */
#include "kind/kind.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "task/description.h"

#define TERMINAL_STATUS (O_APPEND | O_ASYNC | O_NONBLOCK)

extern const struct kind kind_terminal;

static bool is_terminal(int fd)
{
	struct termios modes;

	return fd >= 0 && ioctl(fd, TCGETS, &modes) == 0;
}

static bool terminal_claims(const struct file *f)
{
	return S_ISCHR(f->st.st_mode) && is_terminal(f->own);
}

/* ---- Capture ---- */

static bool is_controlling(const struct file *f)
{
	int tty = f->task->stat.tty_nr;
	dev_t dev = makedev(stat_tty_major(tty), stat_tty_minor(tty));

	/* 5:0 is /dev/tty, which is the controlling terminal whichever that is. */
	return tty && (f->st.st_rdev == dev || f->st.st_rdev == makedev(5, 0));
}

static int fill(const struct capture *c, const struct file *f, Rec__Terminal *m)
{
	struct termios modes;
	struct winsize size;

	if (ioctl(f->own, TCGETS, &modes) < 0)
		return -errno;
	m->path = strdup(f->link);
	m->termios.data = malloc(sizeof modes);
	if (!m->path || !m->termios.data)
		return -ENOMEM;
	memcpy(m->termios.data, &modes, sizeof modes);
	m->termios.len = sizeof modes;
	if (ioctl(f->own, TIOCGWINSZ, &size) == 0) {
		m->rows = size.ws_row;
		m->columns = size.ws_col;
	}
	m->controlling = is_controlling(f);
	m->standard = (uint32_t)(standard_of(c, f) + 1);
	return 0;
}

static int terminal_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			    struct error **err)
{
	unsigned int number;
	Rec__Terminal *m;
	int r;

	if (ioctl(f->own, TIOCGPTN, &number) == 0)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is the controlling side of the pseudo-terminal "
			      "/dev/pts/%u, which is not supported yet", f->fd, number);
	m = kind_message(&kind_terminal);
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	r = fill(c, f, m);
	if (r < 0) {
		message_free(&m->base);
		return fail_errno(err, -r, "descriptor %d (%s)", f->fd, f->link);
	}
	*ret = &m->base;
	return 0;
}

/* ---- The record ---- */

static int terminal_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Terminal *m = (const Rec__Terminal *)message;

	if (m->termios.len != sizeof(struct termios) || m->standard > 3)
		return fail(err, EINVAL, "a terminal that makes no sense");
	return 0;
}

/* The first of the restore's standard descriptors that is a terminal; -1: none. */
static int terminal_of_restore(const struct rebuild *r)
{
	for (unsigned int n = 0; n < 3; n++)
		if (is_terminal(standard_source(r, n)))
			return standard_source(r, n);
	return -1;
}

static int number_of(const struct rebuild *r, uint32_t id)
{
	vec_each(t, &r->tasks)
		for (size_t i = 0; i < (*t)->record->n_slots; i++)
			if ((*t)->record->slots[i]->file == id)
				return (int)(*t)->record->slots[i]->fd;
	return -1;
}

static int terminal_check(const struct rebuild *r, const ProtobufCMessage *message,
			  struct error **err)
{
	const Rec__Terminal *m = (const Rec__Terminal *)message;

	if (terminal_of_restore(r) >= 0)
		return 0;
	if (m->standard)
		return standard_check(r, m->standard - 1, m->file->flags, err);
	return refuse(err, ENXIO, "restore it in a terminal",
		      "the program's descriptor %d is a terminal, and this restore has none",
		      number_of(r, m->file->id));
}

/* ---- Restore ---- */

/* Without SIGTTOU, which would stop a restore that runs in the background. */
static int set_modes(int fd, const Rec__Terminal *m)
{
	sigset_t block, old;
	struct termios modes;
	int r;

	memcpy(&modes, m->termios.data, sizeof modes);
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	r = ioctl(fd, TCSETS, &modes) < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int open_terminal(int terminal, const Rec__Terminal *m)
{
	int flags = ((int)m->file->flags & O_ACCMODE) | O_NOCTTY | O_NONBLOCK;
	int fd = -1;

	if (!strcmp(m->path, "/dev/tty"))
		fd = open(m->path, flags | O_CLOEXEC);
	/* A description of its own, so that O_NONBLOCK does not reach the user's shell. */
	if (fd < 0)
		fd = description_reopen(terminal, flags);
	/* After su(1) the terminal may be somebody else's file. */
	if (fd < 0)
		fd = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

/* All terminals of a program carry the same modes: the first sets them. */
static int set_modes_once(struct rebuild *r, int fd, const Rec__Terminal *m)
{
	struct rebuilt_shared *once = rebuilt_share(r, kind_terminal.tag, 0);

	if (!once)
		return -ENOMEM;
	if (once->fds[0] >= 0)
		return 0;
	once->fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return set_modes(fd, m);
}

static int terminal_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Terminal *m = (const Rec__Terminal *)f->message;
	int terminal = terminal_of_restore(r), fd, k;

	if (terminal < 0)
		fd = standard_open(r, m->standard ? m->standard - 1 : 0, m->file->flags, err);
	else
		fd = open_terminal(terminal, m);
	if (fd < 0)
		return fail_errno(err, -fd, "cannot open the terminal");
	f->fd = fd;
	if (terminal < 0)
		return 0;
	/* A detached program shares the terminal with the user's shell, whose modes these are. */
	k = r->options->foreground ? set_modes_once(r, fd, m) : 0;
	if (k < 0)
		return fail_errno(err, -k, "cannot set the modes of the terminal");
	return description_set_status(fd, m->file->flags, TERMINAL_STATUS, err);
}

const struct kind kind_terminal = {
	.name = "terminal",
	.tag = 140,
	.schema = &rec__terminal__descriptor,
	.file = &(const struct file_ops){
		.claims = terminal_claims,
		.capture = terminal_capture,
		.validate = terminal_validate,
		.check = terminal_check,
		.open = terminal_open,
	},
};

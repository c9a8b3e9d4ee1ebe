/*
 * Terminals: the slave side of a pty, a console, /dev/tty.
 *
 * A terminal whose master is in the tree is made anew with that.  Any other belongs to the user,
 * not to the program: the program comes back on the one that the restore has, with its modes
 * (echo, raw, special characters) but with the new window's size.  One that is hung up stays so.
 */
#include "kind/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "task/append.h"
#include "task/description.h"
#include "task/terminal.h"

#define TERMINAL_STATUS (O_APPEND | O_ASYNC | O_NONBLOCK)

static bool is_terminal(int fd)
{
	struct termios modes;

	return fd >= 0 && ioctl(fd, TCGETS, &modes) == 0;
}

/* The master is gone: nothing can be done with it, but to close it. */
static bool is_hung_up(const struct file *f)
{
	struct termios modes;

	return f->own >= 0 && terminal_of_slave(f->own, &f->st) >= 0 &&
	       ioctl(f->own, TCGETS, &modes) < 0 && errno == EIO;
}

static bool terminal_claims(const struct file *f)
{
	return S_ISCHR(f->st.st_mode) && (is_terminal(f->own) || is_hung_up(f));
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
	int number = terminal_of_slave(f->own, &f->st);
	const struct file *master = number < 0 ? NULL : terminal_master(c, number);
	struct termios modes;
	struct winsize size;

	m->path = strdup(f->link);
	if (!m->path)
		return -ENOMEM;
	m->hung_up = is_hung_up(f);
	if (m->hung_up)
		return 0;
	if (ioctl(f->own, TCGETS, &modes) < 0)
		return -errno;
	if (bytes_set(&m->termios, &modes, sizeof modes) < 0)
		return -ENOMEM;
	if (ioctl(f->own, TIOCGWINSZ, &size) == 0) {
		m->rows = size.ws_row;
		m->columns = size.ws_col;
	}
	m->controlling = is_controlling(f);
	m->master = master ? master->id : 0;
	m->standard = master ? 0 : (uint32_t)(standard_of(c, f) + 1);
	return 0;
}

static int terminal_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			    struct error **err)
{
	Rec__Terminal *m = kind_message(&kind_terminal);
	int r = m ? fill(c, f, m) : -ENOMEM;

	if (r < 0) {
		message_free(m ? &m->base : NULL);
		return fail_errno(err, -r, "descriptor %d (%s)", f->fd, f->link);
	}
	*ret = &m->base;
	return 0;
}

/* ---- The record ---- */

static int terminal_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Terminal *m = (const Rec__Terminal *)message;

	if (m->termios.len != (m->hung_up ? 0 : sizeof(struct termios)) || m->standard > 3 ||
	    (m->hung_up && (m->master || m->standard)))
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
	const struct rebuilt_file *master = m->master ? rebuilt_file(r, m->master) : NULL;

	if (m->master && (!master || master->kind != &kind_terminal_master))
		return refuse(err, EINVAL, NULL, "the image has a terminal without its master");
	if (m->master || m->hung_up || terminal_of_restore(r) >= 0)
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

/* A slave of the tree's own, and who may open it by its name (mesg(1)). */
static int open_own(struct rebuild *r, const Rec__Terminal *m, struct error **err)
{
	int flags = (int)m->file->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), fd, k;

	if (m->hung_up)
		return terminal_open_hung_up(flags, err);
	fd = terminal_open_slave(r, m->master, flags, err);
	if (fd < 0)
		return fd;
	if (strcmp(m->path, "/dev/tty") != 0)
		(void)!fchmod(fd, m->file->mode & 0666);
	k = description_set_status(fd, m->file->flags, TERMINAL_STATUS, err);
	if (k < 0)
		close(fd);
	return k < 0 ? k : fd;
}

static int terminal_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Terminal *m = (const Rec__Terminal *)f->message;
	int terminal = terminal_of_restore(r), fd, k;

	if (m->master || m->hung_up)
		return open_own(r, m, err);
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

/*
 * Pipes and named pipes.
 *
 * A pipe within the tree is made anew with its content.  One whose other end is outside
 * comes back only as a standard descriptor: it is then one of the user's own.  (What
 * waits unread in it stays with whoever holds the other end.)  A named
 * pipe finds whoever is outside by its name.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/description.h"
#include "task/path.h"

#define PIPE_STATUS     (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)
#define PIPE_SIZE_MAX   (1u << 31)   /* the kernel's own limit of a capacity */
/* What open(2) sets on 64-bit kernels and pipe2(2) does not: how the description was made. */
#define KERNEL_LARGEFILE 0100000u

extern const struct kind kind_pipe;

static bool pipe_claims(const struct file *f)
{
	return f->own >= 0 && S_ISFIFO(f->st.st_mode) && !(f->flags & O_PATH);
}

/* ---- Capture ---- */

/* What the tree itself has of one pipe. */
struct ends {
	const struct file *reader, *writer; /* one description each that can, or NULL */
	bool packets;                       /* some writer is in packet mode */
};

static struct ends find_ends(struct capture *c, const struct file *f)
{
	struct ends ends = {0};
	size_t count = 0;
	struct file *const *all = capture_same_inode(c, f, &count);

	for (size_t i = 0; i < count; i++) {
		const struct file *at = all[i];
		int mode = at->flags & O_ACCMODE;

		if (!pipe_claims(at))
			continue;
		if (mode != O_WRONLY)
			ends.reader = at;
		if (mode != O_RDONLY) {
			ends.writer = at;
			ends.packets |= (at->flags & O_DIRECT) != 0;
		}
	}
	return ends;
}

/* poll(2) says POLLHUP to a reader without writers and POLLERR to a writer without readers. */
static bool alone(const struct file *end, short event)
{
	struct pollfd p = {.fd = end->own};

	return poll(&p, 1, 0) == 1 && (p.revents & event);
}

static int read_packets(int fd, Rec__Pipe *m, size_t size, bool packets, struct error **err)
{
	VEC(uint32_t) lengths = {0};
	size_t got = 0;

	m->content.data = malloc(size);
	while (m->content.data && got < size) {
		ssize_t n = read(fd, m->content.data + got, size - got);
		uint32_t *len = n > 0 ? vec_push(&lengths) : NULL;

		if (!len)
			break;
		*len = (uint32_t)n;
		got += (size_t)n;
	}
	m->content.len = got;
	/* Without packets one read(2) is given everything. */
	if (packets || lengths.count > 1) {
		m->packets = lengths.items;
		m->n_packets = lengths.count;
	} else {
		vec_free(&lengths);
	}
	return got == size ? 0 : fail(err, EIO, "the content of a pipe could not be read");
}

/* tee(2) duplicates the buffers, packet boundaries included, and consumes nothing. */
static int read_content(const struct file *reader, Rec__Pipe *m, bool packets, struct error **err)
{
	cleanup_close int from = -1, to = -1;
	int size = 0, fds[2];
	ssize_t n;

	if (ioctl(reader->own, FIONREAD, &size) < 0)
		return fail_errno(err, errno, "descriptor %d: how much is in the pipe",
				  reader->fd);
	if (size <= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail_errno(err, errno, "cannot make a pipe");
	from = fds[0];
	to = fds[1];
	if (fcntl(to, F_SETPIPE_SZ, m->capacity) < 0)
		return fail_errno(err, errno, "cannot make a pipe of %u bytes", m->capacity);
	n = tee(reader->own, to, (size_t)size, SPLICE_F_NONBLOCK);
	if (n != size)
		return fail_errno(err, n < 0 ? errno : EIO,
				  "descriptor %d: cannot copy what is in the pipe", reader->fd);
	return read_packets(from, m, (size_t)size, packets, err);
}

static int refuse_outside(const struct file *f, const struct holder *holder, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	if (holder->pid)
		return refuse(err, ENOTSUP, "redirect it to a file, or say what becomes of it: --external "
			      "pipe=close or inherit",
			      "%s is a pipe whose other end is held by process %d (%s)", name,
			      holder->pid, holder->name);
	return refuse(err, ENOTSUP, "redirect it to a file, or say what becomes of it: --external "
		      "pipe=close or inherit",
		      "%s is a pipe whose other end is held by a process of another user", name);
}

/* An unnamed pipe: all of it is in the tree, or made so, or it is a standard descriptor, or refused. */
static int capture_pipe(struct capture *c, struct file *f, const struct ends *ends, Rec__Pipe *m,
			struct error **err)
{
	struct holder holder = {0};
	bool outside = (!ends->writer && !m->no_writers) || (!ends->reader && !m->no_readers);

	outside |= holder_outside(c, f, &holder);
	if (outside) {
		int standard = standard_of(c, f);

		m->standard = (uint32_t)(standard + 1);
		m->hole = standard < 0 && c->external.pipes == EXTERNAL_INHERIT;
		if (m->standard || m->hole)
			return 0;
		if (c->external.pipes != EXTERNAL_CLOSE)
			return refuse_outside(f, &holder, err);
	}
	/* Without a reader nobody will ever see what is in it. */
	return ends->reader && m->pipe == f->id
		       ? read_content(ends->reader, m, ends->packets, err) : 0;
}

/* While somebody outside holds it the content stays in it, and is not ours to save. */
static int capture_fifo(struct capture *c, struct file *f, const struct ends *ends, Rec__Pipe *m,
			struct error **err)
{
	cleanup_free char *name = file_describe(f);
	struct holder holder;
	int size = 0;

	if (f->deleted || f->link[0] != '/')
		return refuse(err, ENOTSUP, NULL, "%s is a named pipe that has lost its name", name);
	m->path = strdup(f->link);
	if (!m->path)
		return fail(err, ENOMEM, "out of memory");
	if (m->pipe != f->id || holder_outside(c, f, &holder))
		return 0;
	if (ends->reader)
		return read_content(ends->reader, m, ends->packets, err);
	if (ioctl(f->own, FIONREAD, &size) == 0 && size > 0)
		return refuse(err, ENOTSUP, "let a process read it, then try again",
			      "%s is a named pipe with %d bytes that nobody reads", name, size);
	return 0;
}

static int pipe_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			struct error **err)
{
	struct ends ends = find_ends(c, f);
	Rec__Pipe *m = kind_message(&kind_pipe);
	int capacity = fcntl(f->own, F_GETPIPE_SZ), r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->capacity = capacity > 0 ? (uint32_t)capacity : 0;
	m->pipe = capture_share(c, kind_pipe.tag, f->st.st_ino, f->st.st_dev, f->id);
	m->no_writers = !ends.writer && alone(ends.reader, POLLHUP);
	m->no_readers = !ends.reader && alone(ends.writer, POLLERR);
	r = str_starts(f->link, "pipe:[") ? capture_pipe(c, f, &ends, m, err)
					  : capture_fifo(c, f, &ends, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	*ret = &m->base;
	return 0;
}

/* ---- The record ---- */

static int pipe_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Pipe *m = (const Rec__Pipe *)message;
	uint64_t sum = 0;

	for (size_t i = 0; i < m->n_packets; i++) {
		if (!m->packets[i])
			return fail(err, EINVAL, "a pipe with an empty packet");
		sum += m->packets[i];
	}
	if (m->n_packets && sum != m->content.len)
		return fail(err, EINVAL, "a pipe whose packets are not its content");
	if (m->capacity > PIPE_SIZE_MAX || m->content.len > PIPE_SIZE_MAX)
		return fail(err, EINVAL, "a pipe of an impossible size");
	if (m->standard > 3 || m->pipe == 0)
		return fail(err, EINVAL, "a pipe with impossible numbers");
	if (m->path[0] && m->path[0] != '/')
		return fail(err, EINVAL, "a named pipe without an absolute path");
	return 0;
}

static int pipe_check(const struct rebuild *r, const ProtobufCMessage *message, struct error **err)
{
	const Rec__Pipe *m = (const Rec__Pipe *)message;
	int mode = (int)m->file->flags & O_ACCMODE;
	int access = mode == O_RDONLY ? R_OK : mode == O_WRONLY ? W_OK : R_OK | W_OK;
	const struct rebuilt_file *owner = rebuilt_file(r, (uint32_t)m->pipe);
	cleanup_close int fd = -1;
	struct stat st;

	if (!owner || owner->kind != &kind_pipe)
		return refuse(err, EINVAL, NULL, "the image has a pipe without its first end");
	if (m->standard)
		return standard_check(r, m->standard - 1, m->file->flags, err);
	if (m->hole)
		return hole_check(r, m->file->id, err);
	if (!m->path[0])
		return 0;
	fd = path_open(AT_FDCWD, m->path, O_PATH);
	if (fd < 0)
		return refuse(err, -fd, "make it with mkfifo(1)", "the named pipe %s: %s",
			      m->path, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return fail_errno(err, errno, "%s", m->path);
	if (!S_ISFIFO(st.st_mode))
		return refuse(err, EINVAL, NULL, "%s is not a named pipe any more", m->path);
	if (faccessat(fd, "", access, AT_EMPTY_PATH | AT_EACCESS) < 0)
		return refuse(err, errno, NULL, "the named pipe %s may not be opened as before",
			      m->path);
	return 0;
}

/* ---- Restore ---- */

static int write_content(int fd, const Rec__Pipe *m)
{
	size_t at = 0;

	for (size_t i = 0; i < m->n_packets; i++) {
		if (write(fd, m->content.data + at, m->packets[i]) != (ssize_t)m->packets[i])
			return -ENOSPC;
		at += m->packets[i];
	}
	if (!m->n_packets && m->content.len &&
	    write(fd, m->content.data, m->content.len) != (ssize_t)m->content.len)
		return -ENOSPC;
	return 0;
}

/* Size and content, through a writing end of its own, whose flags nobody shares. */
static int fill(int any_end, const Rec__Pipe *m, struct error **err)
{
	cleanup_close int fd = -1;
	int r;

	if (m->capacity && fcntl(any_end, F_GETPIPE_SZ) != (int)m->capacity &&
	    fcntl(any_end, F_SETPIPE_SZ, m->capacity) < 0)
		return fail_errno(err, errno, "cannot make a pipe of %u bytes", m->capacity);
	if (!m->content.len)
		return 0;
	fd = description_reopen(any_end, O_WRONLY | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(err, -fd, "cannot open a pipe");
	r = description_set_status(fd, m->n_packets ? O_DIRECT : 0, O_DIRECT, err);
	if (r < 0)
		return r;
	r = write_content(fd, m);
	return r < 0 ? fail_errno(err, -r, "cannot fill a pipe") : 0;
}

static int make_pipe(struct rebuilt_shared *s, const Rec__Pipe *first, struct error **err)
{
	if (pipe2(s->fds, O_CLOEXEC) < 0)
		return fail_errno(err, errno, "cannot make a pipe");
	return fill(s->fds[1], first, err);
}

static int open_pipe(struct rebuilt_shared *s, const Rec__Pipe *m, const Rec__Pipe *first,
		     struct error **err)
{
	int mode = (int)m->file->flags & O_ACCMODE;
	int r = s->fds[0] < 0 ? make_pipe(s, first, err) : 0;
	int end, fd;

	if (r < 0)
		return r;
	end = s->fds[mode == O_RDONLY ? 0 : 1];
	/* The two that pipe2(2) made; all others were opened through /proc. */
	if (mode != O_RDWR && !(m->file->flags & KERNEL_LARGEFILE))
		fd = fcntl(end, F_DUPFD_CLOEXEC, 3);
	else
		fd = description_reopen(end, mode | O_NONBLOCK);
	return fd < 0 ? fail(err, EIO, "cannot open a pipe again") : fd;
}

/*
 * Opens a named pipe such that nothing blocks: a helper that reads and writes
 * lets writers in, and keeps the content while it is being opened.  A reader that has
 * never seen a writer must not see one now: it would be told of a hangup.
 */
static int open_fifo(int root, struct rebuilt_shared *s, const Rec__Pipe *m,
		     const Rec__Pipe *first, struct error **err)
{
	int mode = (int)m->file->flags & O_ACCMODE, size = 0, fd, r;

	if (s->fds[0] < 0 && (mode == O_WRONLY || m->no_writers || first->content.len)) {
		fd = path_open(root, m->path, O_RDWR | O_NONBLOCK);
		if (fd < 0)
			return fail_errno(err, -fd, "%s", m->path);
		s->fds[0] = fd;
		if (first->content.len && ioctl(s->fds[0], FIONREAD, &size) == 0 && size > 0)
			return fail(err, EBUSY, "%s holds data of another process", m->path);
		r = fill(s->fds[0], first, err);
		if (r < 0)
			return error_wrap(err, r, "%s", m->path);
	}
	fd = path_open(root, m->path, mode | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(err, -fd, "%s", m->path);
	/* Others may use it by now: then its size is theirs to choose. */
	if (first->capacity && fcntl(fd, F_GETPIPE_SZ) != (int)first->capacity)
		fcntl(fd, F_SETPIPE_SZ, first->capacity);
	return fd;
}

static int pipe_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Pipe *m = (const Rec__Pipe *)f->message;
	const Rec__Pipe *first = (const Rec__Pipe *)rebuilt_file(r, (uint32_t)m->pipe)->message;
	struct rebuilt_shared *s;
	int fd;

	if (m->standard) {
		fd = standard_open(r, m->standard - 1, m->file->flags, err);
		if (fd >= 0)
			f->fd = fd;
		return fd < 0 ? fd : 0;
	}
	s = rebuilt_share(r, kind_pipe.tag, m->pipe);
	if (!s)
		return fail(err, ENOMEM, "out of memory");
	fd = m->path[0] ? open_fifo(r->root, s, m, first, err) : open_pipe(s, m, first, err);
	if (fd < 0)
		return fd;
	f->fd = fd;
	return description_set_status(fd, m->file->flags, PIPE_STATUS, err);
}

const struct kind kind_pipe = {
	.name = "pipe",
	.tag = 133,
	.schema = &rec__pipe__descriptor,
	.file = &(const struct file_ops){
		.claims = pipe_claims,
		.capture = pipe_capture,
		.validate = pipe_validate,
		.check = pipe_check,
		.open = pipe_open,
	},
};

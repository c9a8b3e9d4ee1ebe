/*
 * What waits to be read in a Unix socket, looked at and left where it is.
 *
 * MSG_PEEK alone shows the first message, or the bytes of a stream up to descriptors that
 * travel in it.  All others are reached by SO_PEEK_OFF, which belongs to the socket and so to the
 * program: it is set and put back for each look, by a process of its own that takes no signals,
 * is not of our process group, and looks no further when we are gone.  So a tool that is
 * killed in the middle leaves the program its offset; only for the rest of one look may the
 * program, which goes on when we are gone, find another one.
 * The process shares our descriptors: those that come with the messages are ours.
 */
#include "kind/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define MESSAGES_MAX 65536u
#define BUFFER_MIN   4096u
#define BUFFER_MAX   (1u << 30)
#define CONTROL_SIZE 4096u

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* What the process writes, before the bytes of each message. */
struct header {
	uint32_t size, name_size, passed;
	uint32_t told; /* the credentials are known */
	struct ucred who;
	struct sockaddr_storage name;
	int fds[PASSED_MAX];
};

struct looker {
	int fd, out, type;
	int saved;   /* the program's own offset */
	pid_t parent;
	bool ended; /* nothing more will come: 0 bytes are the end */
	unsigned int total; /* what FIONREAD says */
	char *buffer;
	size_t room;
	struct header header;
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE];
};

/* false: there is something else that would have to be sent again. */
static bool take_control(struct msghdr *message, struct header *h)
{
	bool all = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t size = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS && size <= sizeof h->fds) {
			memcpy(h->fds, CMSG_DATA(c), size);
			h->passed = (uint32_t)(size / sizeof(int));
		} else if (c->cmsg_type == SCM_CREDENTIALS && size >= sizeof h->who) {
			memcpy(&h->who, CMSG_DATA(c), sizeof h->who);
			h->told = 1;
		} else if (c->cmsg_type == SCM_PIDFD && size >= sizeof(int)) {
			close(*(const int *)CMSG_DATA(c));
			all = false;
		}
	}
	return all;
}

static ssize_t look_once(struct looker *l, int offset, char *buffer, size_t room,
			 int *ret_flags)
{
	struct iovec part = {buffer, room};
	struct msghdr message = {
		.msg_name = &l->header.name, .msg_namelen = sizeof l->header.name,
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = l->control, .msg_controllen = sizeof l->control,
	};
	int whole = l->type == SOCK_STREAM ? 0 : MSG_TRUNC, error;
	ssize_t n;

	memset(&l->header, 0, sizeof l->header);
	if (getppid() != l->parent)
		return -ECANCELED;
	if (setsockopt(l->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) < 0)
		return -errno;
	n = recvmsg(l->fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC | whole);
	error = errno;
	setsockopt(l->fd, SOL_SOCKET, SO_PEEK_OFF, &l->saved, sizeof l->saved);
	if (n < 0)
		return -error;
	l->header.name_size = message.msg_namelen;
	*ret_flags = message.msg_flags;
	return take_control(&message, &l->header) ? n : -ENOTSUP;
}

static void close_passed(const struct header *h)
{
	for (uint32_t i = 0; i < h->passed; i++)
		close(h->fds[i]);
}

/* Again with more room, when a message is longer than the buffer. */
static ssize_t look(struct looker *l, int offset)
{
	int flags = 0;
	ssize_t n = look_once(l, offset, l->buffer, l->room, &flags);
	void *more;

	if (n > (ssize_t)l->room && n <= (ssize_t)BUFFER_MAX) {
		close_passed(&l->header);
		more = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (more == MAP_FAILED)
			return -ENOMEM;
		l->buffer = more;
		l->room = (size_t)n;
		n = look_once(l, offset, l->buffer, l->room, &flags);
	}
	return n < 0 ? n : flags & MSG_CTRUNC ? -EMSGSIZE : n;
}

/*
 * In a stream descriptors come with the first byte of what was sent with them; bytes that were
 * sent before are shown in the same look, but are read without them.  The kernel copies
 * what was sent at once as a whole: where the last byte has no place (it would be in a
 * page that cannot be written), the look ends before the part with the descriptors.
 */
static ssize_t bytes_before(struct looker *l, int offset, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
	char *probe = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	struct header h = l->header;
	int flags;
	ssize_t n;

	if (probe == MAP_FAILED || mprotect(probe + room, page, PROT_NONE) < 0)
		return -ENOMEM;
	n = look_once(l, offset, probe + room - (size - 1), size, &flags);
	munmap(probe, room + page);
	close_passed(&l->header);
	l->header = h;
	return n == -EFAULT ? 0 : n >= (ssize_t)size ? -EIO : n;
}

static int put(struct looker *l, const struct header *h, const char *data)
{
	struct iovec parts[2] = {{(void *)h, sizeof *h}, {(void *)data, h->size}};

	return writev(l->out, parts, 2) == (ssize_t)(sizeof *h + h->size) ? 0 : -EIO;
}

static int put_message(struct looker *l, int offset, size_t size)
{
	ssize_t before = l->type == SOCK_STREAM && l->header.passed
				 ? bytes_before(l, offset, size) : 0;
	struct header first = l->header;
	int r = 0;

	if (before < 0)
		return (int)before;
	first.passed = 0;
	first.size = (uint32_t)before;
	if (before)
		r = put(l, &first, l->buffer);
	l->header.size = (uint32_t)(size - (size_t)before);
	return r < 0 ? r : put(l, &l->header, l->buffer + before);
}

static int look_at_all(struct looker *l)
{
	size_t offset = 0;

	for (unsigned int i = 0; i < MESSAGES_MAX; i++) {
		ssize_t n = look(l, (int)offset);
		int r;

		if (n == -EAGAIN || (n == 0 && l->type == SOCK_STREAM) ||
		    (n == 0 && l->ended && offset >= l->total))
			return 0;
		if (n < 0)
			return (int)n;
		r = put_message(l, (int)offset, (size_t)n);
		if (r < 0)
			return r;
		offset += (size_t)n;
		if (offset > INT32_MAX)
			return -E2BIG;
	}
	return -E2BIG;
}

/* Runs in the process of its own: system calls only. */
_Noreturn static void look_and_leave(struct looker *l)
{
	setsid();
	_exit(-look_at_all(l));
}

/* Its answer; every signal is blocked, and its end tells nobody but us. */
static int run_looker(struct looker *l)
{
	sigset_t all, old;
	int status = 0;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES, NULL, NULL, NULL, NULL);
	if (pid == 0)
		look_and_leave(l);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	/* Somebody has ended it: its last duty is ours. */
	setsockopt(l->fd, SOL_SOCKET, SO_PEEK_OFF, &l->saved, sizeof l->saved);
	return -EINTR;
}

/* Takes the written messages apart. */
static int collect(const char *text, size_t size, struct peeked *ret)
{
	for (size_t at = 0; size - at >= sizeof(struct header);) {
		struct peeked_message *m = vec_push(&ret->messages);
		struct header h;

		if (!m)
			return -ENOMEM;
		memcpy(&h, text + at, sizeof h);
		at += sizeof h;
		if (h.size > size - at)
			h.size = (uint32_t)(size - at); /* the writing of it failed */
		m->data = text + at;
		m->size = h.size;
		at += h.size;
		m->name_size = h.name_size;
		m->name = h.name;
		m->told = h.told;
		m->who = h.who;
		m->passed = h.passed;
		memcpy(m->fds, h.fds, sizeof m->fds);
	}
	return 0;
}

int unix_peek(int fd, int type, bool ended, struct peeked *ret)
{
	cleanup_close int out = memfd_create("queue", MFD_CLOEXEC);
	struct looker l = {.fd = fd, .out = out, .type = type, .ended = ended, .parent = getpid()};
	socklen_t len = sizeof l.saved;
	int waiting = 0, r;
	ssize_t size;

	if (out < 0 || getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &l.saved, &len) < 0 ||
	    ioctl(fd, FIONREAD, &waiting) < 0)
		return -errno;
	l.total = (unsigned int)waiting;
	l.room = l.total < BUFFER_MIN ? BUFFER_MIN : l.total;
	l.buffer = malloc(l.room);
	if (!l.buffer)
		return -ENOMEM;
	r = run_looker(&l);
	free(l.buffer);
	lseek(out, 0, SEEK_SET);
	size = fd_slurp_open(out, &ret->text);
	if (size < 0)
		return r < 0 ? r : (int)size;
	if (collect(ret->text, (size_t)size, ret) < 0)
		return -ENOMEM;
	return r;
}

void peeked_free(struct peeked *p)
{
	vec_each(m, &p->messages)
		for (uint32_t i = 0; i < m->passed; i++)
			close_fdp(&m->fds[i]);
	vec_free(&p->messages);
	free(p->text);
}

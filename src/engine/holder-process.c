#include "engine/holder-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "priv/caps.h"

#define LOOK_AGAIN 30000 /* ms between looks at address spaces that execve(2) may have ended */
#define PATIENCE 120     /* seconds for which somebody who asked may stay silent */
#define MAPS_TEXT 16384
#define WORTH_DROPPING (UINT64_C(1) << 20)

struct holder *holder_new(size_t processes)
{
	size_t entries = processes * sizeof(struct held);
	size_t size = sizeof(struct holder) + entries + (2 * processes + 1) * sizeof(int);
	struct holder *h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return NULL;
	h->size = size;
	h->entries = (struct held *)(h + 1);
	h->keep = (int *)((char *)h->entries + entries);
	return h;
}

void holder_free(struct holder *h)
{
	munmap(h, h->size);
}

ssize_t holder_receive(int socket, void *buf, size_t size, int *ret_fds, int *ret_count)
{
	char control[CMSG_SPACE(HOLDER_PART * sizeof(int))];
	struct iovec iov = {buf, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);

	*ret_count = 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*ret_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(ret_fds, CMSG_DATA(c), (size_t)*ret_count * sizeof(int));
	}
	return n;
}

static ssize_t send_with(int socket, const void *buf, size_t size, const int *fds, size_t count)
{
	char control[CMSG_SPACE(HOLDER_PART * sizeof(int))] = {0};
	struct iovec iov = {(void *)buf, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL);
}

/* A part holds either processes with a userfaultfd, or such without. */
static void answer(const struct holder *h, int client)
{
	struct holder_part part = {0};
	int fds[HOLDER_PART];

	send_with(client, &h->head, sizeof h->head, NULL, 0);
	for (size_t i = 0; i < h->count; i++) {
		const struct held *p = &h->entries[i];
		bool last = i + 1 == h->count;

		part.who[part.count].pid = p->pid;
		part.who[part.count].starttime = p->starttime;
		fds[part.count++] = p->uffd;
		if (!last && part.count < HOLDER_PART && (h->entries[i + 1].uffd < 0) == (p->uffd < 0))
			continue;
		if (send_with(client, &part, sizeof part, fds, p->uffd < 0 ? 0 : part.count) < 0)
			return;
		part = (struct holder_part){0};
	}
}

/* One at a time: two checkpoints of one tree are not possible anyway. */
static void serve(struct holder *h)
{
	int client = accept4(h->socket, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = {.tv_sec = PATIENCE};
	struct ucred peer;
	socklen_t len = sizeof peer;
	char byte;

	if (client < 0)
		return;
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == geteuid() || peer.uid == 0))
		while (recv(client, &byte, 1, 0) == 1) {
			if (byte == HOLDER_ASK)
				answer(h, client);
			if (byte != HOLDER_END)
				continue;
			/* The name is free before the other side hears of it. */
			close(h->socket);
			_exit(0);
		}
	close(client);
}

static void drop(struct holder *h, size_t i)
{
	if (h->entries[i].uffd >= 0)
		close(h->entries[i].uffd);
	close(h->entries[i].pidfd);
	h->entries[i] = h->entries[--h->count];
	h->head.count = (uint32_t)h->count;
	if (!h->count)
		_exit(0);
}

/* The address space of a program that has executed another one is gone, its number is not. */
static bool has_gone(const struct held *p)
{
	struct uffdio_writeprotect nothing = {.range = {0, ARCH_PAGE_SIZE}};
	struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};

	if (p->uffd >= 0 && ioctl(p->uffd, UFFDIO_WRITEPROTECT, &nothing) < 0 && errno == ESRCH)
		return true;
	return poll(&ended, 1, 0) > 0;
}

static void look_around(struct holder *h)
{
	for (size_t i = h->count; i-- > 0;)
		if (has_gone(&h->entries[i]))
			drop(h, i);
}

static void close_others(const struct holder *h)
{
	unsigned int from = 0;

	for (size_t i = 0; i < h->keep_count; i++) {
		unsigned int fd = (unsigned int)h->keep[i];

		if (fd > from)
			syscall(SYS_close_range, from, fd - 1, 0);
		from = fd + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

static uint64_t hex(const char **at)
{
	uint64_t n = 0;

	for (;; ++*at) {
		char c = **at;

		if (c >= '0' && c <= '9')
			n = n << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint64_t)(c - 'a' + 10);
		else
			return n;
	}
}

/*
 * A line of /proc/self/maps: our parent's own memory, of which we would keep every page that it
 * writes to.  What we still need ourselves stands beside errno or on the stack, or is small: the
 * variables of libraries, and what the dynamic linker knows of them.
 */
static void let_go_of(const char *line, const void *stack)
{
	uint64_t start = hex(&line), end = (line++, hex(&line));
	uint64_t needed[] = {(uint64_t)(uintptr_t)&errno, (uint64_t)(uintptr_t)stack};
	const char *inode = line;

	for (int fields = 0; *inode && *inode != '\n' && fields < 4; inode++)
		fields += *inode == ' ';
	if (strncmp(line, " rw-p", 5) != 0 || inode[0] != '0' || end - start < WORTH_DROPPING)
		return;
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (start <= needed[i] && needed[i] < end)
			return;
	madvise((void *)(uintptr_t)start, end - start, MADV_DONTNEED);
}

/* From here on nothing may be allocated: what malloc(3) knows is gone as well. */
static void shrink(void)
{
	char text[MAPS_TEXT];
	size_t have = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text + have, sizeof text - 1 - have)) > 0) {
		char *line = text, *end;

		text[have + (size_t)n] = '\0';
		while ((end = strchr(line, '\n'))) {
			let_go_of(line, text);
			line = end + 1;
		}
		have = strlen(line);
		memmove(text, line, have);
	}
	if (fd >= 0)
		close(fd);
}

/* Signals are for those who know us: only SIGTERM and SIGKILL end us. */
static void settle(const struct holder *h)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGTERM);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	if (chdir("/") < 0)
		_exit(1);
	close_others(h);
	prctl(PR_SET_NAME, "stasis-track");
	priv_drop_all(NULL);
	shrink();
}

void holder_run(struct holder *h)
{
	struct epoll_event e = {.events = EPOLLIN};
	int events;

	settle(h);
	events = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(events, EPOLL_CTL_ADD, h->socket, &e) < 0)
		_exit(1);
	for (size_t i = 0; i < h->count; i++) {
		e.data.fd = h->entries[i].pidfd;
		epoll_ctl(events, EPOLL_CTL_ADD, h->entries[i].pidfd, &e);
	}
	e.data.fd = h->socket;
	epoll_ctl(events, EPOLL_CTL_MOD, h->socket, &e);
	for (;;) {
		int n = epoll_wait(events, &e, 1, LOOK_AGAIN);

		if (n == 1 && e.data.fd == h->socket)
			serve(h);
		else
			look_around(h);
	}
}

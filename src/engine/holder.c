#include "engine/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/holder-process.h"
#include "priv/calls.h"

#define PATIENCE 10 /* seconds that the other side is waited for */

static socklen_t name_of(struct sockaddr_un *a, uid_t uid, pid_t pid, uint64_t starttime)
{
	int n;

	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "stasis-track/%u/%d/%llu", uid, pid,
		     (unsigned long long)starttime);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

void tracked_free(struct tracked *t)
{
	vec_each(h, &t->processes)
		close_fdp(&h->uffd);
	vec_free(&t->processes);
	close_fdp(&t->socket);
}

const struct held *held_find(const struct tracked *t, pid_t pid, uint64_t starttime)
{
	vec_each(h, &t->processes)
		if (h->pid == pid && h->starttime == starttime)
			return h;
	return NULL;
}

/* Another user's process may have taken the name. */
static bool is_trusted(int fd, uid_t uid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == uid;
}

static int reach(uid_t uid, pid_t pid, uint64_t starttime)
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, uid, pid, starttime);
	struct timeval patience = {.tv_sec = PATIENCE};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&a, len) == 0 && is_trusted(fd, uid))
		return fd;
	close(fd);
	return -1;
}

/* Takes what came with a message. */
static int take_part(struct tracked *t, int fd)
{
	struct holder_part part;
	struct held *h;
	int uffds[HOLDER_PART], given = 0;
	ssize_t n = holder_receive(fd, &part, sizeof part, uffds, &given);

	if (n != sizeof part || part.count == 0 || part.count > HOLDER_PART ||
	    (given != 0 && given != (int)part.count)) {
		for (int i = 0; i < given; i++)
			close(uffds[i]);
		return -EPROTO;
	}
	for (uint32_t i = 0; i < part.count; i++) {
		h = vec_push(&t->processes);
		if (!h && given)
			close(uffds[i]);
		if (h)
			*h = (struct held){part.who[i].pid, part.who[i].starttime,
					   given ? uffds[i] : -1, -1};
	}
	return 0;
}

static int fetch(struct tracked *t)
{
	struct holder_head head;
	char ask = HOLDER_ASK;

	if (send(t->socket, &ask, 1, MSG_NOSIGNAL) != 1 ||
	    recv(t->socket, &head, sizeof head, 0) != sizeof head || head.version != HOLDER_VERSION)
		return -EPROTO;
	t->image = head.image;
	t->how = (enum track_how)head.how;
	t->since = head.since;
	while (t->processes.count < head.count)
		if (take_part(t, t->socket) < 0)
			return -EPROTO;
	return 0;
}

int holder_find(pid_t pid, uint64_t starttime, struct tracked *ret)
{
	uid_t uids[] = {geteuid(), 0};

	*ret = TRACKED_NONE;
	for (size_t i = 0; i < 2 && ret->socket < 0; i++)
		ret->socket = reach(uids[i], pid, starttime);
	if (ret->socket < 0)
		return 0;
	if (fetch(ret) == 0)
		return 1;
	tracked_free(ret);
	return 0;
}

int holder_end(struct tracked *t, struct error **err)
{
	char byte = HOLDER_END;
	ssize_t n;

	if (t->socket < 0)
		return 0;
	if (send(t->socket, &byte, 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
		return fail_errno(err, errno, "cannot end the tracking so far");
	do
		n = recv(t->socket, &byte, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return fail_errno(err, errno, "cannot end the tracking so far");
	close_fdp(&t->socket);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int listen_at(pid_t pid, uint64_t starttime)
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, geteuid(), pid, starttime);
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 4) < 0)
		return -errno;
	return fd_steal(&fd);
}

/* In memory of its own, which outlives the rest of ours in the new process. */
static struct holder *lay_out(const struct tracked *t, int socket, struct error **err)
{
	struct holder *h = holder_new(t->processes.count);

	if (!h) {
		fail(err, ENOMEM, "out of memory");
		return NULL;
	}
	h->socket = socket;
	h->head = (struct holder_head){HOLDER_VERSION, (uint32_t)t->how,
				       (uint32_t)t->processes.count, 0, t->image, t->since};
	h->keep[h->keep_count++] = socket;
	vec_each(p, &t->processes) {
		h->entries[h->count++] = *p;
		if (p->uffd >= 0)
			h->keep[h->keep_count++] = p->uffd;
		h->keep[h->keep_count++] = p->pidfd;
	}
	qsort(h->keep, h->keep_count, sizeof *h->keep, by_number);
	return h;
}

int holder_start(const struct tracked *t, pid_t pid, uint64_t starttime, struct error **err)
{
	cleanup_close int socket = listen_at(pid, starttime);
	struct clone_args args = {0};
	struct holder *h;
	pid_t child;

	if (socket < 0)
		return fail_errno(err, -socket, "cannot keep the tracking");
	h = lay_out(t, socket, err);
	if (!h)
		return -ENOMEM;
	/* Nobody is told of its end, and it is nobody's child. */
	child = priv_clone3(&args);
	if (child == 0) {
		if (priv_clone3(&args) == 0)
			holder_run(h);
		_exit(0);
	}
	holder_free(h);
	if (child < 0)
		return fail_errno(err, (int)-child, "cannot make a process that keeps the tracking");
	while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
		;
	return 0;
}

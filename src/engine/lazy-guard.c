/* The guard of engine/lazy.h, and how a program ends that cannot be served. */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/lazy.h"
#include "proc/stat.h"

struct pids {
	VEC(pid_t) list;
};

static bool has(const struct pids *p, pid_t pid)
{
	vec_each(it, &p->list)
		if (*it == pid)
			return true;
	return false;
}

static pid_t parent_of(const char *number)
{
	cleanup_free char *path = str_format("/proc/%s/stat", number);
	cleanup_free char *text = NULL;
	ssize_t n = path ? fd_slurp(AT_FDCWD, path, &text) : -ENOMEM;
	struct proc_stat st;

	return n > 0 && stat_parse(text, (size_t)n, &st) == 0 ? st.ppid : 0;
}

/* Children of those that are known, which are then known: true, there were some. */
static bool add_children(struct pids *p)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	bool some = false;

	while (dir && (e = readdir(dir))) {
		pid_t pid = (pid_t)atoi(e->d_name), *slot;

		if (pid <= 0 || has(p, pid) || !has(p, parent_of(e->d_name)))
			continue;
		slot = vec_push(&p->list);
		if (slot)
			*slot = pid;
		some = some || slot;
	}
	if (dir)
		closedir(dir);
	return some;
}

static bool is_target(const struct lazy *l, pid_t pid)
{
	vec_each(t, &l->targets)
		if (t->pid == pid)
			return true;
	return false;
}

void lazy_end_program(const struct lazy *l, const char *why)
{
	struct pids all = {0};

	/* Nobody may be there to read it. */
	if (l->report >= 0 && write(l->report, why, strlen(why)) < 0)
		errno = 0;

	vec_each(t, &l->targets) {
		/* The number is still its own. */
		pid_t *slot = syscall(SYS_pidfd_send_signal, t->pidfd, 0, NULL, 0) == 0
				      ? vec_push(&all.list) : NULL;

		if (slot)
			*slot = t->pid;
	}
	while (add_children(&all))
		;
	vec_each(t, &l->targets)
		syscall(SYS_pidfd_send_signal, t->pidfd, SIGKILL, NULL, 0);
	vec_each(pid, &all.list)
		if (!is_target(l, *pid))
			kill(*pid, SIGKILL);
	vec_free(&all.list);
}

void lazy_guard(struct lazy *l, int other)
{
	for (;;) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		char word;
		struct iovec part = {&word, 1};
		struct msghdr m = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = control.buf,
				   .msg_controllen = sizeof control.buf};
		ssize_t n = recvmsg(other, &m, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 1 && word == LAZY_DONE)
			_exit(0);
		/* A descriptor that came stays open: that is all that it is for. */
		if (n != 1) {
			lazy_end_program(l, "the process that serves it was ended");
			_exit(1);
		}
	}
}

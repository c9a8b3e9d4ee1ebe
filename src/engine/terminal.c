#include "engine/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/offspring.h"
#include "engine/space.h"
#include "kind/kind.h"

static int bad(struct error **err, const char *what)
{
	return refuse(err, EBADMSG, NULL, "the image contradicts itself: %s", what);
}

int terminals_valid(const struct rebuild *r, struct error **err)
{
	vec_each(it, &r->tasks) {
		const Rec__Task *m = (*it)->record;
		const struct rebuilt_file *f = m->terminal ? rebuilt_file(r, m->terminal) : NULL;

		if (!m->terminal)
			continue;
		if (m->sid != m->pid || m->zombie)
			return bad(err, "a terminal of a process that leads no session");
		if (!f || strcmp(f->kind->name, "terminal master") != 0)
			return bad(err, "a session on a terminal that is none");
		vec_each(other, &r->tasks)
			if (*other != *it && (*other)->record->terminal == m->terminal)
				return bad(err, "two sessions on one terminal");
	}
	return 0;
}

/* By the master: the kernel takes it for the slave. */
int take_terminal(const struct rebuild *r, const struct rebuilt_task *t, struct error **err)
{
	const struct rebuilt_file *f = t->record->terminal ? rebuilt_file(r, t->record->terminal)
							   : NULL;
	int64_t done = 0;
	int res;

	if (!f || f->fd < 0)
		return 0;
	res = call_in_task(t, SYS_ioctl, (const uint64_t[6]){(uint64_t)f->fd, TIOCSCTTY, 0}, &done,
			   err);
	return res == 0 && done < 0 ? fail_errno(err, (int)-done,
						 "process %u cannot take its terminal",
						 t->record->pid)
				    : res;
}

/* A living process of the session whose group was in the foreground, or NULL. */
static const struct rebuilt_task *in_foreground(const struct rebuild *r, uint32_t sid)
{
	vec_each(it, &r->tasks)
		if ((*it)->record->sid == sid && (*it)->record->foreground && !(*it)->record->zombie)
			return *it;
	return NULL;
}

/* A batch blocks all signals: also SIGTTOU, which else stops whoever is not in the foreground. */
static int set_group(const struct rebuilt_task *leader, int terminal,
		     const struct rebuilt_task *member, struct error **err)
{
	struct batch b cleanup_batch = {0};
	int64_t group = 0;
	pid_t number;
	int res = call_in_task(leader, SYS_getpgid, (const uint64_t[6]){(uint64_t)member->ns_pid},
			       &group, err);

	if (res < 0)
		return res;
	if (group <= 0)
		return fail_errno(err, (int)-group, "process %u has no group", member->record->pid);
	if (batch_init(&b, leader->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	number = (pid_t)group;
	batch_call(&b, 0, SYS_ioctl, (uint64_t)terminal, TIOCSPGRP,
		   batch_put(&b, &number, sizeof number));
	return run_batch(leader->injection, &b, "giving a terminal to its foreground group", err);
}

int give_foreground(const struct rebuild *r, struct error **err)
{
	vec_each(it, &r->tasks) {
		const struct rebuilt_task *t = *it, *member = in_foreground(r, t->record->sid);
		const struct rebuilt_file *f = t->record->terminal
						       ? rebuilt_file(r, t->record->terminal) : NULL;
		int res;

		if (!f || f->fd < 0 || !member)
			continue;
		res = set_group(t, f->fd, member, err);
		if (res < 0)
			return res;
	}
	return 0;
}

/*
 * Before the program runs: else the first thing that it reads from the terminal stops it (SIGTTIN).
 * Whoever has the terminal gives it, to the group that had it; the signal makes the program draw
 * its screen again.
 */
void give_own_terminal(const struct rebuild *r)
{
	const struct rebuilt_task *root = r->tasks.items[0];
	cleanup_close int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	pid_t group = getpgid(root->pid);
	sigset_t block, old;

	if (!r->options->foreground || terminal < 0 || getsid(root->pid) != getsid(0) ||
	    tcgetpgrp(terminal) != getpgrp())
		return;
	vec_each(t, &r->tasks)
		if ((*t)->record->foreground && (*t)->pid > 0 && getsid((*t)->pid) == getsid(0)) {
			group = getpgid((*t)->pid);
			break;
		}
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	tcsetpgrp(terminal, group);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	kill(group == getpgrp() ? root->pid : -group, SIGWINCH);
}

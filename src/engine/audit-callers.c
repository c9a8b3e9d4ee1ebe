/* Callers: children that become somebody, try one thing, and end. */
#include "engine/audit-try.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/become.h"
#include "priv/calls.h"
#include "priv/caps.h"

/* No trial takes more than some milliseconds. */
#define PATIENCE_MS 10000

#define BIT(cap) (UINT64_C(1) << (cap))

static const struct {
	const char *name, *about;
	uint64_t caps; /* that it has, and that the audit must be permitted to give it */
	const char *words;
} kinds[CALLERS] = {
	[CALLER_NONE] = {"none", "an ordinary user without any capability", 0, NULL},
	[CALLER_CAP] = {"cap", "the same user with CAP_CHECKPOINT_RESTORE",
			BIT(CAP_CHECKPOINT_RESTORE), "CAP_CHECKPOINT_RESTORE"},
	[CALLER_PTRACE] = {"ptrace", "the same user with CAP_SYS_PTRACE", BIT(CAP_SYS_PTRACE),
			   "CAP_SYS_PTRACE"},
	[CALLER_ADMIN] = {"admin", "the same user with CAP_SYS_ADMIN", BIT(CAP_SYS_ADMIN),
			  "CAP_SYS_ADMIN"},
	[CALLER_USERNS] = {"userns", "the same user as root of an own user namespace", 0, NULL},
	[CALLER_OTHER] = {"other", "another ordinary user", 0, NULL},
	[CALLER_ROOT] = {"root", "root, with every capability that the audit has", 0, NULL},
};

const char *audit_caller_name(unsigned int kind)
{
	return kinds[kind].name;
}

bool audit_tied(const struct audit_scene *s)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == s->pid;
}

/* Of the program that we are loaded into no handler runs in the child, and it hears no SIGCHLD. */
static pid_t quiet_clone(struct clone_args *args)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = priv_clone3(args);
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

pid_t audit_fork(const struct audit_scene *s, bool tied, int *pidfd)
{
	struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)pidfd};
	pid_t pid = quiet_clone(&args);

	if (pid == 0) {
		close(s->life[1]);
		if (tied && !audit_tied(s))
			_exit(1);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	siginfo_t info = {0};

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return -SIGKILL;
	return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

int audit_reap(pid_t pid, int *pidfd)
{
	struct pollfd end = {.fd = *pidfd, .events = POLLIN};
	int r;

	do
		r = poll(&end, 1, PATIENCE_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		syscall(SYS_pidfd_send_signal, *pidfd, SIGKILL, NULL, 0);
	r = status_of(pid);
	close_fdp(pidfd);
	return r;
}

int audit_nested(uint64_t flags, pid_t wanted, int (*job)(const void *arg), const void *arg)
{
	struct clone_args args = {.flags = flags};
	int status;
	pid_t pid;

	if (wanted) {
		args.set_tid = (uintptr_t)&wanted;
		args.set_tid_size = 1;
	}
	pid = priv_clone3(&args);
	if (pid == 0)
		_exit(-job(arg));
	if (pid < 0)
		return pid;
	status = status_of(pid);
	return status < 0 ? -ECANCELED : -status;
}

static int become(const struct audit_scene *s, const struct audit_caller *caller)
{
	bool own = caller->creds.ns == &caller->own;
	int r = priv_become(caller->creds.uid, caller->creds.gid, own ? 0 : caller->creds.caps);

	if (r == 0 && own)
		r = priv_become_own_root();
	if (r == 0 && !audit_tied(s))
		r = -ESRCH;
	return r;
}

/* 0: it can be.  -errno: why it cannot. */
static int try_to_become(const struct audit_scene *s, const struct audit_caller *caller)
{
	int pidfd = -1;
	pid_t pid = audit_fork(s, true, &pidfd);
	int status;

	if (pid == 0)
		_exit(-become(s, caller));
	if (pid < 0)
		return pid;
	status = audit_reap(pid, &pidfd);
	return status < 0 ? -ECANCELED : -status;
}

/*
 * The links of map_files are names that the kernel remembers, and asks for less (mm_access()) when it
 * knows one already: it is always made to.  The first refused caller makes it forget.
 */
static void look_up_link(const struct audit_victim *v)
{
	char path[80];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)v->pid,
		 v->view->file_at, v->view->file_at + AUDIT_PAGE);
	lstat(path, &st);
}

int audit_try(const struct audit_scene *s, audit_trial *trial, const struct audit_victim *victim,
	      const struct audit_caller *caller)
{
	int pidfd = -1, status, r;
	pid_t pid;

	if (victim)
		look_up_link(victim);
	s->shared->result = RESULT_BROKEN;
	pid = audit_fork(s, true, &pidfd);
	if (pid == 0) {
		r = become(s, caller);
		if (r == 0)
			s->shared->result = trial(s, victim);
		_exit(r == 0 ? 0 : 1);
	}
	if (pid < 0)
		return RESULT_BROKEN;
	status = audit_reap(pid, &pidfd);
	if (status == -SIGBUS)
		return RESULT_SIGBUS;
	return status == 0 ? s->shared->result : RESULT_BROKEN;
}

/*
 * The correction that made mm_access() check the list of map_files has "." and ".." shown
 * before it.  So tried by somebody who is refused in any case, and may open the folder.
 */
void audit_probe_list(struct audit_scene *s)
{
	const struct audit_caller *none = &s->callers[CALLER_NONE];
	const struct audit_victim *gained = &s->victims[VICTIM_GAINED];

	if (!s->has_map_files || none->party.unmade || gained->party.unmade)
		return;
	s->facts.list_by_mm = s->facts.perfmon_reads &&
			      audit_try(s, try_map_first_entries, gained, none) == 0;
}

/* Why a column cannot be made that we know beforehand, or NULL. */
static const char *obstacle(const struct audit_scene *s, enum audit_caller_kind kind,
			    char *buf, size_t size)
{
	if (kinds[kind].caps & ~s->permitted) {
		snprintf(buf, size, "the audit is not permitted %s itself", kinds[kind].words);
		return buf;
	}
	if (kind == CALLER_OTHER && s->other.uid == s->self.uid)
		return "only root can become another user";
	if (kind == CALLER_ROOT && s->self.uid != 0)
		return "the audit is not run by root";
	return NULL;
}

static void set_creds(struct audit_scene *s, enum audit_caller_kind kind)
{
	struct audit_caller *c = &s->callers[kind];
	const struct audit_ids *ids = kind == CALLER_OTHER  ? &s->other
				      : kind == CALLER_ROOT ? &s->self
							    : &s->user;

	c->creds = (struct policy_caller){ids->uid, ids->gid, kinds[kind].caps, s->ns};
	if (kind == CALLER_ROOT)
		c->creds.caps = s->permitted;
	if (kind != CALLER_USERNS)
		return;
	c->own = (struct policy_ns){s->ns, ids->uid, true, ids->uid, ids->gid};
	c->creds.ns = &c->own;
	c->creds.caps = UINT64_MAX;
}

void audit_callers_begin(struct audit_scene *s)
{
	for (enum audit_caller_kind kind = 0; kind < CALLERS; kind++) {
		struct audit_party *party = &s->callers[kind].party;
		char buf[sizeof party->why];
		const char *why = obstacle(s, kind, buf, sizeof buf);

		party->name = kinds[kind].name;
		party->about = kinds[kind].about;
		set_creds(s, kind);
		if (why) {
			party->unmade = -EPERM;
			snprintf(party->why, sizeof party->why, "%s", why);
			continue;
		}
		party->unmade = try_to_become(s, &s->callers[kind]);
		if (party->unmade < 0)
			snprintf(party->why, sizeof party->why, "%s: %s",
				 kind == CALLER_USERNS ? "no user namespace is to be had"
						       : "it cannot be become",
				 strerror(-party->unmade));
	}
	/* Uid 0 of a namespace may have one of its own, and lacks only the right to be its root. */
	s->facts.own_namespaces =
		s->user.uid == 0 ? 0 : s->callers[CALLER_USERNS].party.unmade;
}

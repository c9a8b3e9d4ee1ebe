/*
 * Under seccomp filters a system call may mean the end.  A thread whose filters are ours as well
 * makes only calls that a child of ours has survived.  Numbers are tried and not arguments: with
 * impossible ones, so that no call does anything.
 */
#include "inject/inject.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv/attempt.h"

/* What these would do to the child itself, or what has no argument that makes it fail. */
static bool is_safe_to_try(long nr)
{
	switch (nr) {
	case SYS_exit:
	case SYS_exit_group:
	case SYS_pause:
	case SYS_vhangup:
	case SYS_sync:
	case SYS_fork:
	case SYS_vfork:
	case SYS_clone:
	case SYS_rt_sigreturn:
		return false;
	default:
		return true;
	}
}

static int try_number(const void *arg)
{
	/* No address, descriptor or set of flags is all ones. */
	syscall(*(const long *)arg, -1L, -1L, -1L, -1L, -1L, -1L);
	return 0;
}

int inject_rehearse(struct injection *in, long nr, struct error **err)
{
	uint64_t bit = UINT64_C(1) << (nr & 63);
	int r;

	if (!in->wary)
		return 0;
	if (nr < 0 || nr >= REHEARSED_CALLS || !is_safe_to_try(nr))
		return fail(err, EPERM,
			    "system call %ld cannot be tried, and process %d is under seccomp filters",
			    nr, in->pid);
	if (in->rehearsed[nr / 64] & bit)
		return 0;
	r = attempt_with(try_number, &nr);
	/* ECANCELED: the child was killed.  Any errno of a filter's does no harm. */
	if (r == -ECANCELED)
		return refuse(err, EPERM, "run it without the filter",
			      "process %d is under seccomp filters that end whoever makes system call "
			      "%ld, which a checkpoint asks of it", in->pid, nr);
	in->rehearsed[nr / 64] |= bit;
	return 0;
}

int inject_rehearse_batch(struct injection *in, const struct batch *b, struct error **err)
{
	int r = 0;

	for (uint32_t i = 0; in->wary && i < b->count && r == 0; i++)
		r = inject_rehearse(in, (long)batch_entry(b, i)->nr, err);
	return r;
}

/* What the machinery itself calls: the cure, the doorbell. */
int inject_rehearse_own(struct injection *in, struct error **err)
{
	int r = inject_rehearse(in, SYS_rt_sigprocmask, err);

	return r < 0 ? r : inject_rehearse(in, SYS_tgkill, err);
}

static int end_at_once(void *arg)
{
	(void)arg;
	_exit(0);
}

static int try_clones(const void *arg)
{
	static const int flags[] = {CLONE_VM | CLONE_FILES | CLONE_FS, CLONE_FILES};
	_Alignas(16) char stack[4096];

	(void)arg;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		pid_t pid = clone(end_at_once, stack + sizeof stack, flags[i], NULL);

		if (pid < 0)
			return -errno;
		/* Who is killed kills nobody else: of the child that tells only this. */
		if (attempt_reap(pid) != 0)
			return -EPERM;
	}
	return 0;
}

int inject_rehearse_twin(struct injection *in, struct error **err)
{
	int r = inject_rehearse(in, SYS_wait4, err);

	if (r < 0 || !in->wary)
		return r;
	r = attempt_with(try_clones, NULL);
	return r == 0 ? 0
		      : refuse(err, EPERM, "run it without the filter",
			       "process %d is under seccomp filters that do not let it clone itself",
			       in->pid);
}

#include "task/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "base/str.h"
#include "task/append.h"

#define SIGNALS 64
#define CHUNK 32

/*
 * The kernel's own use of a timer's siginfo (si_sys_private, before 6.13): for the
 * kernel of the restore it would be a lie.
 */
#define SYS_PRIVATE_AT 32

_Static_assert(sizeof(siginfo_t) == 128, "the kernel's size");

static bool can_wait(int sig)
{
	/* A SIGSTOP on its way says where the process is going, and not what it is. */
	return sig >= 1 && sig <= SIGNALS && sig != SIGKILL && sig != SIGSTOP;
}

static int add(struct pending *p, const siginfo_t *info)
{
	siginfo_t *copy;

	if (!can_wait(info->si_signo))
		return 0;
	copy = vec_push(&p->list);
	if (!copy)
		return -ENOMEM;
	*copy = *info;
	if (info->si_code == SI_TIMER)
		memset((char *)copy + SYS_PRIVATE_AT, 0, sizeof(int));
	return 0;
}

/*
 * Signals below 32 wait without a siginfo when their sender had used up
 * RLIMIT_SIGPENDING.  Their receiver is told of a kill(2) by nobody.
 */
static int add_bare(struct pending *p, uint64_t waiting)
{
	vec_each(it, &p->list)
		waiting &= ~(UINT64_C(1) << (it->si_signo - 1));
	for (int sig = 1; sig <= SIGNALS; sig++) {
		siginfo_t info = {.si_signo = sig, .si_code = SI_USER};

		if (waiting >> (sig - 1) & 1 && add(p, &info) < 0)
			return -ENOMEM;
	}
	return 0;
}

int pending_read(const struct thread *t, bool shared, struct pending *ret, struct error **err)
{
	cleanup_pending struct pending p = {0};
	struct __ptrace_peeksiginfo_args args = {
		.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0, .nr = CHUNK,
	};
	siginfo_t chunk[CHUNK];
	long n;

	do {
		n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &args, chunk);
		if (n < 0)
			return fail_errno(err, errno, "cannot read the signals that wait for %d",
					  t->tid);
		for (long i = 0; i < n; i++)
			if (add(&p, &chunk[i]) < 0)
				return fail(err, ENOMEM, "out of memory");
		args.off += (uint64_t)n;
	} while (n == CHUNK);
	if (add_bare(&p, shared ? t->status.shared_pending : t->status.sig_pending) < 0)
		return fail(err, ENOMEM, "out of memory");
	*ret = p;
	p = (struct pending){0};
	return 0;
}

void pending_free(struct pending *p)
{
	vec_free(&p->list);
}

int pending_timers(const struct task *task, struct posix_timers *ret, struct error **err)
{
	cleanup_free char *text = NULL;
	ssize_t n = task_slurp(task, "timers", &text);
	int r = n < 0 ? (int)n : timers_parse(text, (size_t)n, ret);

	return r < 0 ? fail_errno(err, -r, "cannot read the timers of process %d", task->pid) : 0;
}

bool pending_from(const siginfo_t *info, const struct posix_timer *timer)
{
	return info->si_code == SI_TIMER && info->si_timerid == timer->id &&
	       info->si_signo == timer->signo &&
	       (uint64_t)(uintptr_t)info->si_value.sival_ptr == timer->sigval;
}

static bool from_any(const siginfo_t *info, const struct posix_timers *timers)
{
	vec_each(timer, &timers->list)
		if (pending_from(info, timer))
			return true;
	return false;
}

int pending_record(const struct thread *t, bool shared, ProtobufCBinaryData **list, size_t *count,
		   struct error **err)
{
	cleanup_pending struct pending p = {0};
	cleanup_timers struct posix_timers timers = {0};
	bool timers_known = false;
	int r = pending_read(t, shared, &p, err);

	if (r < 0)
		return r;
	vec_each(info, &p.list) {
		if (info->si_code == SI_TIMER && !timers_known) {
			r = pending_timers(t->task, &timers, err);
			if (r < 0)
				return r;
			timers_known = true;
		}
		if (from_any(info, &timers))
			continue;
		if (bytes_append(list, count, info, sizeof *info) < 0)
			return fail(err, ENOMEM, "out of memory");
	}
	return 0;
}

int pending_validate(const ProtobufCBinaryData *list, size_t count, struct error **err)
{
	for (size_t i = 0; i < count; i++) {
		siginfo_t info;

		if (list[i].len != sizeof info)
			return fail(err, EINVAL, "a waiting signal of %zu bytes", list[i].len);
		memcpy(&info, list[i].data, sizeof info);
		if (!can_wait(info.si_signo))
			return fail(err, EINVAL, "signal %d cannot wait", info.si_signo);
	}
	return 0;
}

/* si_pid is meant, and not what shares its place. */
static bool has_sender(const siginfo_t *info)
{
	switch (info->si_code) {
	case SI_USER:
	case SI_TKILL:
	case SI_QUEUE:
	case SI_MESGQ:
		return true;
	default:
		return info->si_signo == SIGCHLD && info->si_code > 0;
	}
}

siginfo_t pending_rebuilt(const struct rebuild *r, const ProtobufCBinaryData *recorded)
{
	siginfo_t info;

	memcpy(&info, recorded->data, sizeof info);
	if (has_sender(&info) && info.si_pid > 0)
		info.si_pid = rebuilt_number(r, info.si_pid);
	return info;
}

/*
 * A stopped thread may stand in the middle of two things that only the kernel
 * can finish: a system call and a restartable sequence.
 */
#include "engine/seize.h"

#include <errno.h>
#include <linux/rseq.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "engine/timeout.h"

/*
 * Calls that return EINTR for any wake-up, also for ours (signal(7), "Interruption of
 * system calls and library functions by stop signals").
 */
static bool ends_with_eintr(long nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_read:
	case SYS_write:
	case SYS_futex:
	case SYS_inotify_add_watch:
		return true;
	default:
		return false;
	}
}

/*
 * ERESTARTNOHAND is what such a call would return if it knew how: the kernel repeats it, or
 * makes it EINTR when a handler runs first.  Done at once, so that our death
 * does not leave the thread with an EINTR that nobody meant.
 */
int mend_interrupted(struct thread *t)
{
	if (arch_get_regs(t->tid, &t->regs) < 0)
		return -ESRCH;
	if (arch_syscall_nr(&t->regs) < 0 || arch_syscall_result(&t->regs) != -EINTR ||
	    !ends_with_eintr(arch_syscall_nr(&t->regs)))
		return 0;
	arch_set_syscall_result(&t->regs, -ERESTARTNOHAND);
	return arch_set_regs(t->tid, &t->regs);
}

/*
 * A call that was interrupted before, by an earlier checkpoint or by SIGSTOP, goes on as
 * restart_syscall(2), and only the kernel knows which it was.  The C library's code tells: it loads
 * the number right before the call.  Where it does not we do not guess: with -1 the
 * call ends with EINTR.
 */
static long nr_of_restarted(const struct thread *t)
{
	unsigned char code[ARCH_SYSCALL_CODE];

	if (task_read_memory(t->task, arch_ip(&t->regs) - sizeof code, code, sizeof code) < 0)
		return -1;
	switch (arch_syscall_nr_in_code(code)) {
	case SYS_poll:
		return SYS_poll;
	case SYS_nanosleep:
		return SYS_nanosleep;
	case SYS_clock_nanosleep:
		return SYS_clock_nanosleep;
	case SYS_futex:
		return SYS_futex;
	default:
		return -1;
	}
}

/* A new thread has no restart block: it repeats the call with its arguments. */
static void mend_restart(struct thread *t)
{
	long nr = arch_syscall_nr(&t->regs);

	if (nr < 0 || arch_syscall_result(&t->regs) != -ERESTART_RESTARTBLOCK)
		return;
	if (nr == SYS_restart_syscall)
		nr = nr_of_restarted(t);
	if (nr < 0) {
		arch_set_syscall_nr(&t->saved, -1);
		arch_set_syscall_result(&t->saved, -EINTR);
		return;
	}
	arch_set_syscall_nr(&t->saved, nr);
	arch_set_syscall_result(&t->saved, -ERESTARTNOHAND);
}

/*
 * The kernel aborts a restartable sequence when it is interrupted, but looks where the
 * thread is only when it returns to user space: then it would see our code.
 * So we do what it would have done (Documentation/userspace-api/rseq.rst).
 */
static int mend_rseq(struct thread *t, struct error **err)
{
	uint64_t pointer = 0, ip = arch_ip(&t->regs);
	struct rseq_cs cs;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, (void *)sizeof t->rseq, &t->rseq) < 0)
		return errno == ESRCH ? fail(err, ESRCH, "thread %d has ended", t->tid) : 0;
	if (!t->rseq.pointer ||
	    task_read_memory(t->task, t->rseq.pointer + offsetof(struct rseq, rseq_cs), &pointer,
			     sizeof pointer) < 0 ||
	    !pointer || task_read_memory(t->task, pointer, &cs, sizeof cs) < 0)
		return 0;
	if (ip - cs.start_ip < cs.post_commit_offset) {
		arch_set_ip(&t->regs, cs.abort_ip);
		arch_set_ip(&t->saved, cs.abort_ip);
	}
	return 0;
}

int mend_task(struct task *task, struct error **err)
{
	vec_each(t, &task->threads) {
		int r;

		mend_restart(*t);
		r = mend_rseq(*t, err);
		if (r < 0)
			return r;
	}
	timeout_measure(task);
	return 0;
}

/* The restoring half of engine/timeout.h. */
#include "engine/timeout.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "inject/trace.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

bool timeout_valid(const Rec__Thread *m)
{
	struct arch_regs regs;
	struct timed_call call;

	memcpy(&regs, m->registers.data, sizeof regs);
	return arch_syscall_result(&regs) == -ERESTARTNOHAND && timed_call_of(&regs, &call) &&
	       m->restart_remaining <= (call.milliseconds ? INT32_MAX * NS_PER_MS : INT64_MAX);
}

static int lost(const struct injection *in, struct error **err)
{
	return fail(err, ESRCH, "process %d ended in the middle of it", in->pid);
}

static int next_syscall_stop(struct injection *in, struct error **err)
{
	struct stop stop;

	in->taking_signal = false;
	do {
		if (trace_continue_to_syscall(in->tid) < 0 || trace_wait_near(in->tid, &stop) < 0 ||
		    stop.kind == STOP_GONE)
			return lost(in, err);
		if (stop.kind == STOP_SIGNAL && stop.signal == SIGSTOP)
			in->deferred = SIGSTOP;
	} while (stop.kind != STOP_SYSCALL);
	return 0;
}

/* The interrupt waits already when the call begins: it never really sleeps. */
static int call_interrupted(struct injection *in, const struct timed_call *call, int64_t *ret,
			    struct error **err)
{
	struct arch_regs regs = in->regs;
	int r;

	arch_prepare_syscall(&regs, in->cell + arch_cell_call(), call->nr, call->args);
	if (arch_set_regs(in->tid, &regs) < 0)
		return lost(in, err);
	r = next_syscall_stop(in, err);
	if (r < 0)
		return r;
	if (trace_interrupt(in->tid) < 0)
		return lost(in, err);
	r = next_syscall_stop(in, err);
	if (r < 0)
		return r;
	if (arch_get_regs(in->tid, &regs) < 0)
		return lost(in, err);
	*ret = arch_syscall_result(&regs);
	return 0;
}

/* The kernel reads it when the call begins, and never again. */
static int put_timeout(const struct injection *in, struct timed_call *call, uint64_t remaining)
{
	struct timespec ts = {.tv_sec = (time_t)(remaining / NS_PER_SECOND),
			      .tv_nsec = (long)(remaining % NS_PER_SECOND)};
	uint64_t scratch = in->region + BATCH_CODE_SIZE + BATCH_SCRATCH_AT;

	call->args[call->timeout] = call->milliseconds ? (remaining + NS_PER_MS - 1) / NS_PER_MS
						       : scratch;
	return call->milliseconds ? 0 : fd_pwrite(in->mem, &ts, sizeof ts, scratch);
}

int timeout_prime(const struct rebuilt_thread *th, struct injection *in, struct error **err)
{
	struct timed_call call;
	int64_t result = -ERESTARTNOHAND;
	int r;

	if (!th->record->restart_timed || !timed_call_of(&in->regs, &call))
		return 0;
	r = put_timeout(in, &call, th->record->restart_remaining);
	if (r < 0)
		return fail_errno(err, -r, "cannot write into process %d", in->pid);
	r = call_interrupted(in, &call, &result, err);
	if (r < 0)
		return r;
	if (result >= 0 || result == -ETIMEDOUT) {
		arch_set_syscall_result(&in->regs, result);
		arch_set_syscall_nr(&in->regs, -1);
	} else if (result == -ERESTART_RESTARTBLOCK) {
		arch_set_syscall_result(&in->regs, result);
	}
	/* Whatever else it says it will say again when the kernel repeats the call. */
	return 0;
}

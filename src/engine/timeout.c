#include "engine/timeout.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc/scan.h"
#include "proc/sched.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* A clock that advances while the thread does not run. */
static bool wall_clock(uint64_t id)
{
	switch ((clockid_t)id) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return true;
	default:
		return false;
	}
}

static bool describe(long nr, const uint64_t args[6], struct timed_call *ret)
{
	struct timed_call c = {.nr = nr};

	memcpy(c.args, args, sizeof c.args);
	switch (nr) {
	case SYS_poll:
		c.timeout = 2;
		c.milliseconds = true;
		if ((int)args[2] < 0)
			return false;
		break;
	case SYS_nanosleep:
		c.timeout = 0;
		c.rest = args[1];
		break;
	case SYS_clock_nanosleep:
		c.timeout = 2;
		c.rest = args[3];
		if (!wall_clock(args[0]) || ((int)args[1] & TIMER_ABSTIME))
			return false;
		break;
	case SYS_futex:
		/* All others have absolute times, for which the arguments are right as they are. */
		c.timeout = 3;
		if (((int)args[1] & ~FUTEX_PRIVATE_FLAG) != FUTEX_WAIT || !args[3])
			return false;
		break;
	default:
		return false;
	}
	*ret = c;
	return true;
}

bool timed_call_of(const struct arch_regs *regs, struct timed_call *ret)
{
	uint64_t args[6];

	for (unsigned int i = 0; i < 6; i++)
		args[i] = arch_syscall_arg(regs, i);
	return describe(arch_syscall_nr(regs), args, ret);
}

/* True for a thread that sleeps in a call the rest of which the kernel will not tell us. */
static bool must_observe(const struct thread *t)
{
	cleanup_free char *name = str_format("task/%d/syscall", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(t->task, name, &text) : -1;
	struct scan s = scan_of(text, n < 0 ? 0 : (size_t)n);
	int64_t nr = scan_signed(&s);
	struct timed_call call;
	uint64_t args[6];

	for (int i = 0; i < 6; i++) {
		scan_expect(&s, " 0x");
		args[i] = scan_hex(&s);
	}
	if (s.bad) /* "running" */
		return false;
	return nr == SYS_restart_syscall || (describe(nr, args, &call) && !call.rest);
}

/* A number in one of the thread's files; key is too long to be within its name, or cannot be. */
static bool read_number(const char *text, size_t len, const char *key, uint64_t *ret)
{
	const char *at = memmem(text, len, key, strlen(key));
	struct scan s, ignored;

	if (!at)
		return false;
	s = scan_of(at, (size_t)(text + len - at));
	if (!scan_key(&s, &ignored))
		return false;
	scan_blanks(&s);
	*ret = scan_dec(&s);
	return !s.bad;
}

/* When the thread last ran, by the clock of its processor then, and how often it slept. */
static bool read_sched(const struct thread *t, uint64_t *ret_ran, uint64_t *ret_switches)
{
	cleanup_free char *name = str_format("task/%d/sched", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(t->task, name, &text) : -1;
	struct proc_sched sched;

	if (n < 0 || sched_parse(text, (size_t)n, &sched) < 0 ||
	    !read_number(text, (size_t)n, "\nnr_voluntary_switches", ret_switches))
		return false;
	*ret_ran = sched.exec_start;
	return true;
}

/* The processor on which it last ran; -1: not known. */
static int read_processor(const struct thread *t)
{
	cleanup_free char *name = str_format("task/%d/stat", t->tid);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(t->task, name, &text) : -1;
	const char *at = n < 0 ? NULL : memrchr(text, ')', (size_t)n);
	struct scan s;

	if (!at)
		return -1;
	s = scan_of(at, (size_t)(text + n - at));
	/* The name is field 2, the processor field 39. */
	for (int field = 2; field < 39; field++)
		scan_word(&s);
	n = scan_int(&s);
	return s.bad || n < 0 || n >= CPU_SETSIZE ? -1 : (int)n;
}

void timeout_observe(struct thread *t)
{
	if (!must_observe(t) || !read_sched(t, &t->wait.since, &t->wait.switches))
		return;
	t->wait.cpu = read_processor(t);
	t->wait.seen = t->wait.cpu >= 0;
}

/* It slept once more, which was for us; or else it may have left that call and come again. */
void timeout_recheck(struct thread *t, const char *status, size_t len)
{
	uint64_t switches;

	t->wait.seen = t->wait.seen &&
		       read_number(status, len, "\nvoluntary_ctxt_switches", &switches) &&
		       switches == t->wait.switches + 1;
}

/* The clocks of the processors: time that a hypervisor took from one is missing in its clock. */
struct clocks {
	cpu_set_t own; /* where we may run ourselves */
	bool have_own, moved;
	uint64_t now[CPU_SETSIZE]; /* 0: not read yet */
};

static uint64_t read_clock(struct clocks *c, int cpu)
{
	cleanup_free char *text = NULL;
	struct proc_sched sched;
	cpu_set_t there;
	ssize_t n;

	if (c->now[cpu] || !c->have_own)
		return c->now[cpu];
	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	if (sched_setaffinity(0, sizeof there, &there) < 0)
		return 0;
	c->moved = true;
	n = fd_slurp(AT_FDCWD, "/proc/thread-self/sched", &text);
	if (n >= 0 && sched_parse(text, (size_t)n, &sched) == 0)
		c->now[cpu] = sched.exec_start;
	return c->now[cpu];
}

/* How long the thread has waited, or a little less. */
static bool waited(const struct thread *t, struct clocks *clocks, uint64_t *ret)
{
	uint64_t now = t->wait.seen ? read_clock(clocks, t->wait.cpu) : 0;

	if (!now)
		return false;
	*ret = now > t->wait.since ? now - t->wait.since : 0;
	return true;
}

static bool read_timespec(const struct task *task, uint64_t address, uint64_t *ret)
{
	struct timespec ts;

	if (task_read_memory(task, address, &ts, sizeof ts) < 0 || ts.tv_sec < 0 ||
	    ts.tv_sec >= INT64_MAX / NS_PER_SECOND || ts.tv_nsec < 0 ||
	    ts.tv_nsec >= NS_PER_SECOND)
		return false;
	*ret = (uint64_t)(ts.tv_sec * NS_PER_SECOND + ts.tv_nsec);
	return true;
}

static bool read_timeout(const struct task *task, const struct timed_call *call, uint64_t *ret)
{
	if (!call->milliseconds)
		return read_timespec(task, call->args[call->timeout], ret);
	*ret = (call->args[call->timeout] & INT_MAX) * (uint64_t)NS_PER_MS;
	return true;
}

static void measure(struct thread *t, struct clocks *clocks)
{
	struct timed_call call;
	uint64_t timeout, elapsed;

	if (arch_syscall_nr(&t->regs) < 0 ||
	    arch_syscall_result(&t->regs) != -ERESTART_RESTARTBLOCK ||
	    !timed_call_of(&t->saved, &call))
		return;
	if (call.rest) {
		t->timed = read_timespec(t->task, call.rest, &t->remaining);
		return;
	}
	if (!read_timeout(t->task, &call, &timeout) || !waited(t, clocks, &elapsed))
		return;
	t->remaining = elapsed < timeout ? timeout - elapsed : 0;
	t->timed = true;
}

void timeout_measure(struct task *task)
{
	struct clocks clocks = {0};

	clocks.have_own = sched_getaffinity(0, sizeof clocks.own, &clocks.own) == 0;
	vec_each(t, &task->threads)
		measure(*t, &clocks);
	if (clocks.moved)
		sched_setaffinity(0, sizeof clocks.own, &clocks.own);
}

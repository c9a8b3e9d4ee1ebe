#include "inject/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/tracee.h"
#include "inject/fault.h"
#include "inject/trace.h"

/*
 * Descriptors are shared, and not copied: who gives up a table that it shares (CLOSE_RANGE_UNSHARE)
 * closes nothing, and has held nothing open.
 */
#define MIDDLE_FLAGS ((uint64_t)CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_PTRACE)
#define COPY_FLAGS ((uint64_t)CLONE_FILES | CLONE_PTRACE)

#define TARGET_OPTIONS PTRACE_O_TRACESYSGOOD
#define TWIN_OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

/* A batch of two entries. */
struct pair {
	struct batch_header header;
	struct batch_entry entries[2];
};

static int set_options(pid_t tid, long options)
{
	return tracee_ask(PTRACE_SETOPTIONS, tid, NULL, (void *)options) < 0 ? -errno : 0;
}

/* Points the thread at the two entries, of which the first makes a child. */
static int load_pair(struct injection *in, uint64_t address, uint64_t flags,
		     const struct batch_entry *second, struct error **err)
{
	struct pair p = {
		.header = {.version = BATCH_VERSION, .count = 2, .signal = (uint32_t)in->doorbell},
		.entries = {{.nr = SYS_clone, .args = {flags}, .flags = BATCH_CHILD_EXITS}, *second},
	};
	int r;

	fault_entries(p.entries, 2);
	r = fd_pwrite(in->mem, &p, sizeof p, address);
	return r < 0 ? fail_errno(err, -r, "cannot write into process %d", in->pid)
		     : inject_aim(in, address, err);
}

/* What the first of them returned. */
static int why_no_child(const struct injection *in, uint64_t address, struct error **err)
{
	struct pair p;

	if (fd_pread(in->mem, &p, sizeof p, address) != (ssize_t)sizeof p || p.entries[0].ret >= 0)
		return fail(err, ESRCH, "process %d ended in the middle of it", in->pid);
	fault_results(p.entries, 2);
	return fail_errno(err, (int)-p.entries[0].ret, "process %d cannot be cloned", in->pid);
}

/* The first stop of a child that was born traced.  options: what it shall have. */
static int meet(pid_t pid, long options)
{
	struct stop stop;
	int r = trace_wait(pid, &stop);

	if (r == 0 && stop.kind == STOP_GONE)
		r = -ESRCH;
	return r < 0 ? r : set_options(pid, options);
}

static void kill_and_reap(pid_t pid)
{
	struct stop stop;

	kill(pid, SIGKILL);
	while (trace_wait(pid, &stop) == 0 && stop.kind != STOP_GONE)
		;
}

static uint64_t aside(const struct injection *in)
{
	return in->region + BATCH_CODE_SIZE + BATCH_ASIDE_AT;
}

static uint64_t beginning(const struct injection *in)
{
	return in->region + BATCH_CODE_SIZE;
}

/* How batches run in a process that has the target's memory, or a copy of it. */
static struct injection injection_of(const struct injection *target, pid_t pid, int mem)
{
	struct injection in = *target;

	in.pid = in.tid = in.born = pid;
	in.mem = mem;
	in.alone = true;
	in.watched = in.running = in.taking_signal = false;
	in.deferred = 0;
	return in;
}

/* The middle is dead: the target, which waits for it or is about to, comes to the end of its batch. */
static int finish_target(struct injection *target, struct error **err)
{
	int r;

	target->watched = false;
	set_options(target->tid, TARGET_OPTIONS);
	r = inject_advance(target, err);
	return r < 0 ? r : 0;
}

/* The target stands where the middle was born, and the middle before its first instruction. */
static int make_middle(struct injection *target, pid_t *ret, struct error **err)
{
	/* The result of the first entry is the pid as the target knows it. */
	const struct batch_entry reap = {
		.nr = SYS_wait4, .args = {0, 0, __WALL, 0}, .flags = BATCH_MAY_FAIL, .refs = 1};
	int r = inject_rehearse_twin(target, err);

	if (r == 0)
		r = load_pair(target, aside(target), MIDDLE_FLAGS, &reap, err);
	if (r < 0)
		return r;
	r = set_options(target->tid, TARGET_OPTIONS | PTRACE_O_TRACECLONE);
	if (r < 0)
		return fail_errno(err, -r, "process %d cannot be cloned", target->pid);
	target->watched = true;
	r = inject_advance(target, err);
	target->watched = false;
	if (r == 0) {
		set_options(target->tid, TARGET_OPTIONS);
		return why_no_child(target, aside(target), err);
	}
	if (r < 0)
		return r;
	*ret = target->born;
	/* Its children have what it has, from their birth on. */
	r = meet(*ret, TWIN_OPTIONS | PTRACE_O_TRACECLONE);
	if (r == 0)
		return 0;
	kill_and_reap(*ret);
	finish_target(target, NULL);
	return fail_errno(err, -r, "process %d cannot be cloned", target->pid);
}

static int open_twin(struct twin *t, struct error **err)
{
	cleanup_free char *path = str_format("/proc/%d/mem", t->pid);

	t->mem = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	if (t->mem < 0 || t->pidfd < 0)
		return fail_errno(err, errno, "cannot look at the clone of a process");
	t->in.mem = t->mem;
	return 0;
}

/*
 * Pages that the program writes to while there is a copy of it are memory that it had not needed, and
 * its memory control group may have a limit: where memory runs out, the kernel is to end the copy.
 * Anybody may raise this (proc(5)); where it cannot be done, the largest is ended, as ever.
 */
static void stand_in_front(const struct twin *t)
{
	cleanup_free char *path = str_format("/proc/%d/oom_score_adj", t->pid);
	cleanup_close int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		fd_write(fd, "1000", 4);
}

/* The middle forks and ends. */
static int fork_middle(struct injection *target, pid_t middle, struct twin *ret,
		       struct error **err)
{
	const struct batch_entry end = {.nr = SYS_exit_group};
	struct injection in = injection_of(target, middle, target->mem);
	struct stop stop;
	int r = load_pair(&in, beginning(&in), COPY_FLAGS, &end, err);

	in.watched = true;
	if (r == 0)
		r = inject_advance(&in, err);
	if (r == 0)
		r = why_no_child(&in, beginning(&in), err);
	if (r < 0)
		return r;
	ret->pid = in.born;
	ret->in = injection_of(target, ret->pid, -1);
	r = meet(ret->pid, TWIN_OPTIONS);
	if (r < 0)
		return fail_errno(err, -r, "process %d cannot be cloned", target->pid);
	if (trace_continue(middle, 0) < 0 || trace_wait(middle, &stop) < 0 ||
	    stop.kind != STOP_GONE)
		return fail(err, ESRCH, "a clone of process %d did not end", target->pid);
	return 1;
}

int twin_copy(struct injection *target, struct twin *ret, struct error **err)
{
	pid_t middle = 0;
	int r, left;

	*ret = TWIN_NONE;
	r = make_middle(target, &middle, err);
	if (r < 0)
		return r;
	r = fork_middle(target, middle, ret, err);
	if (r != 1)
		kill_and_reap(middle);
	left = finish_target(target, r < 0 ? NULL : err);
	r = r < 0 ? r : left < 0 ? left : open_twin(ret, err);
	if (r < 0)
		twin_end(ret, NULL, NULL);
	else
		stand_in_front(ret);
	return r;
}

int twin_help(struct injection *target, struct twin *ret, struct error **err)
{
	int r;

	*ret = TWIN_NONE;
	r = make_middle(target, &ret->pid, err);
	if (r < 0)
		return r;
	ret->helper = true;
	ret->in = injection_of(target, ret->pid, -1);
	r = open_twin(ret, err);
	if (r < 0)
		twin_end(ret, target, NULL);
	return r;
}

int twin_end(struct twin *t, struct injection *target, struct error **err)
{
	bool helper = t->helper;

	if (!t->pid)
		return 0;
	kill_and_reap(t->pid);
	close_fdp(&t->mem);
	close_fdp(&t->pidfd);
	*t = TWIN_NONE;
	return helper ? finish_target(target, err) : 0;
}

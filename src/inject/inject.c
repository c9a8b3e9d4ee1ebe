#include "inject/inject.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "inject/fault.h"
#include "inject/place.h"
#include "inject/trace.h"

#define SIGNAL_BIT(sig) (UINT64_C(1) << ((sig)-1))
#define ALL_BLOCKED (~UINT64_C(0))

static void *address_of(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static int lost(struct injection *in, struct error **err)
{
	return fail(err, ESRCH, "process %d ended in the middle of it", in->pid);
}

/*
 * A signal that a program takes no notice of, with or without a tracer: ignored by its own
 * wish, or by default and without a handler.  A pending one must not be touched.
 */
static int find_doorbell(uint64_t ignored, uint64_t caught, uint64_t pending)
{
	static const int by_default[] = {SIGURG, SIGWINCH, SIGCHLD};

	for (size_t i = 0; i < sizeof by_default / sizeof *by_default; i++)
		if (!((caught | pending) & SIGNAL_BIT(by_default[i])))
			return by_default[i];
	for (int sig = SIGHUP; sig <= SIGSYS; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCONT &&
		    (ignored & ~pending & SIGNAL_BIT(sig)))
			return sig;
	return 0;
}

int inject_begin(struct injection *in, pid_t pid, int mem, const struct vm_areas *areas,
		 const struct leftovers *l, uint64_t hint, uint64_t ignored, uint64_t caught,
		 uint64_t pending, struct error **err)
{
	size_t slot = 0;
	uint64_t newest = 0;

	if (!l->base)
		return refuse(err, ENOSPC, NULL,
			      "process %d has no page of code with %zu unused bytes at its end, in "
			      "which the way back could be kept safe",
			      pid, arch_cell_size());
	for (size_t i = 0; i < l->room; i++)
		if (l->slots[i].used && l->slots[i].cell.generation > newest)
			newest = l->slots[i].cell.generation;
	/* A free slot, or the one that was left longest ago. */
	for (size_t i = 1; i < l->room && l->slots[slot].used; i++)
		if (!l->slots[i].used ||
		    l->slots[i].cell.generation < l->slots[slot].cell.generation)
			slot = i;
	*in = (struct injection){.pid = pid,
				 .mem = mem,
				 .cell = l->base - slot * inject_cell_stride(),
				 .generation = newest + 1,
				 .place = hint	      ? hint
					  : l->region ? l->region
						      : inject_find_gap(areas, BATCH_REGION_SIZE),
				 .replaces = !hint && l->region,
				 .doorbell = find_doorbell(ignored, caught, pending)};
	if (!in->place)
		return refuse(err, ENOMEM, NULL, "process %d has no %u KiB of address space free", pid,
			      BATCH_REGION_SIZE / 1024);
	return 0;
}

void inject_change_process(struct injection *in, pid_t pid, uint64_t ignored, uint64_t caught,
			   uint64_t pending)
{
	in->pid = pid;
	in->doorbell = find_doorbell(ignored, caught, pending);
}

int inject_enter(struct injection *in, pid_t tid, const struct arch_regs *regs, uint64_t sigmask,
		 struct error **err)
{
	unsigned char cell[CELL_MAX];
	struct arch_cell cure = {.regs = *regs,
				 .sigmask = sigmask,
				 .region = in->place,
				 .generation = in->generation};
	struct arch_regs at_cure = *regs;
	int r = inject_rehearse_own(in, err);

	if (r < 0)
		return r;
	/* A thread that cures itself has no kernel to restart its system call: it repeats it. */
	if (arch_syscall_nr(regs) >= 0 && arch_syscall_result(regs) <= -512 &&
	    arch_syscall_result(regs) >= -516)
		arch_repeat_syscall(&cure.regs);
	arch_cell_fill(cell, &cure);
	r = trace_poke(tid, in->mem, in->cell, cell, arch_cell_size());
	if (r < 0)
		return fail_errno(err, -r, "cannot write into process %d", in->pid);

	/* First the way back, then the mask: killed in between, it sets its mask to what it is. */
	arch_set_ip(&at_cure, in->cell + arch_cell_after());
	arch_set_syscall_result(&at_cure, 0);
	at_cure.gp.orig_rax = (unsigned long)-1;
	r = arch_set_regs(tid, &at_cure);
	if (r < 0)
		return lost(in, err);
	in->tid = tid;
	in->regs = *regs;
	in->sigmask = sigmask;
	r = trace_set_sigmask(tid, in->doorbell ? ALL_BLOCKED & ~SIGNAL_BIT(in->doorbell)
						: ALL_BLOCKED);
	return r < 0 ? lost(in, err) : 0;
}

static int wait_for(const struct injection *in, struct stop *ret)
{
	if (in->tid == in->pid && !in->alone)
		return trace_wait_leader(in->tid, ret);
	return in->near ? trace_wait_near(in->tid, ret) : trace_wait(in->tid, ret);
}

/*
 * Continues until a stop that concerns us.  SIGSTOP cannot be blocked: it waits
 * until the thread is itself again.  Other signals that get through are
 * those that the program ignores.
 */
static int next_stop(struct injection *in, bool to_syscall, struct stop *ret, struct error **err)
{
	for (;;) {
		int r = in->running ? 0
			: to_syscall ? trace_continue_to_syscall(in->tid)
				     : trace_continue(in->tid, 0);

		in->running = false;
		if (r < 0 || wait_for(in, ret) < 0 || ret->kind == STOP_GONE)
			return lost(in, err);
		in->taking_signal = ret->kind == STOP_SIGNAL && ret->signal == in->doorbell;
		if (ret->kind == STOP_EVENT && trace_event_pid(in->tid, &in->born) < 0)
			return lost(in, err);
		if (ret->kind == STOP_EVENT && in->watched)
			return 0;
		if (ret->kind == STOP_SIGNAL && ret->signal == SIGSTOP)
			in->deferred = SIGSTOP;
		else if (ret->kind == STOP_SYSCALL ||
			 (ret->kind == STOP_SIGNAL && ret->signal == in->doorbell))
			return 0;
		else if (ret->kind == STOP_SIGNAL && ret->signal != SIGCHLD &&
			 ret->signal != SIGURG && ret->signal != SIGWINCH)
			return fail(err, EFAULT, "process %d met signal %d (%s) in our code",
				    in->pid, ret->signal, strsignal(ret->signal));
	}
}

int inject_call(struct injection *in, long nr, const uint64_t args[6], int64_t *ret,
		struct error **err)
{
	struct batch_entry e = {.nr = (uint64_t)nr};
	struct arch_regs regs = in->regs;
	struct stop stop;
	int r = inject_rehearse(in, nr, err);

	if (r < 0)
		return r;
	fault_entries(&e, 1);
	arch_prepare_syscall(&regs, in->cell + arch_cell_call(), (long)e.nr, args);
	if (arch_set_regs(in->tid, &regs) < 0)
		return lost(in, err);
	for (int i = 0; i < 2; i++) {
		do {
			r = next_stop(in, true, &stop, err);
			if (r < 0)
				return r;
		} while (stop.kind != STOP_SYSCALL);
	}
	if (arch_get_regs(in->tid, &regs) < 0)
		return lost(in, err);
	e.ret = arch_syscall_result(&regs);
	fault_results(&e, 1);
	*ret = e.ret;
	return 0;
}

int inject_map(struct injection *in, struct error **err)
{
	unsigned char code[BATCH_CODE_SIZE] = {0};
	const uint64_t map[6] = {in->place,
				 BATCH_REGION_SIZE,
				 PROT_READ | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS |
					 (in->replaces ? MAP_FIXED : MAP_FIXED_NOREPLACE),
				 (uint64_t)-1,
				 0};
	int64_t at, done;
	int r;

	if (arch_batch_size() > sizeof code)
		return fail(err, ENOSPC, "the batch runner is too large");
	in->mapping = true;
	r = inject_call(in, SYS_mmap, map, &at, err);
	if (r < 0)
		return r;
	in->mapping = false;
	if (at < 0 && at >= -4095)
		return refuse(err, (int)-at, "raise its RLIMIT_AS: prlimit(1)",
			      "process %d cannot map %u KiB of memory: %s", in->pid,
			      BATCH_REGION_SIZE / 1024, strerror((int)-at));
	in->region = (uint64_t)at;
	/* The code at once: by it a left-over region is known. */
	arch_batch_copy(code, in->cell + arch_cell_after());
	r = trace_poke(in->tid, in->mem, in->region, code, sizeof code);
	if (r < 0)
		return fail_errno(err, -r, "cannot write into process %d", in->pid);
	/*
	 * Code is never writable and data never executable (PR_SET_MDWE).  Shared, so
	 * that it is nothing to RLIMIT_DATA, which a program may have used up.
	 */
	r = inject_call(in, SYS_mmap,
			(const uint64_t[6]){in->region + BATCH_CODE_SIZE, BATCH_DATA_SIZE,
					    PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, (uint64_t)-1, 0},
			&done, err);
	if (r < 0)
		return r;
	if (done < 0 && done >= -4095)
		return refuse(err, (int)-done, NULL, "process %d cannot map memory for data: %s",
			      in->pid, strerror((int)-done));
	return 0;
}

/* No doorbell signal: PTRACE_SYSCALL stops at each call, and at the doorbell's we hold it. */
static int advance_by_syscalls(struct injection *in, struct error **err)
{
	uint64_t doorbell = in->region + arch_batch_doorbell();
	struct arch_regs regs;
	struct stop stop;

	for (;;) {
		int r = next_stop(in, true, &stop, err);

		if (r < 0)
			return r;
		if (stop.kind == STOP_EVENT)
			return 1;
		if (arch_get_regs(in->tid, &regs) < 0)
			return lost(in, err);
		/* At a stop of a call the ip stands behind its instruction, which is two bytes long. */
		if (arch_ip(&regs) != doorbell + 2)
			continue;
		/* No such signal: the call does nothing. */
		regs.gp.orig_rax = (unsigned long)-1;
		if (arch_set_regs(in->tid, &regs) < 0)
			return lost(in, err);
		return next_stop(in, true, &stop, err);
	}
}

int inject_advance(struct injection *in, struct error **err)
{
	uint64_t behind = in->region + arch_batch_doorbell() + 2;
	struct arch_regs regs;
	struct stop stop;

	if (!in->doorbell)
		return advance_by_syscalls(in, err);
	do {
		int r = next_stop(in, false, &stop, err);

		if (r < 0)
			return r;
		if (stop.kind == STOP_EVENT)
			return 1;
		if (arch_get_regs(in->tid, &regs) < 0)
			return lost(in, err);
		/* The same signal from somebody else is ignored, as it would have been anyway. */
	} while (arch_ip(&regs) != behind);
	return 0;
}

static size_t entries_size(const struct batch *b)
{
	return sizeof(struct batch_header) + b->count * sizeof(struct batch_entry);
}

/* Entries and scratch memory of a batch, to or from the region: at once, or one by one. */
static int move_batch(const struct injection *in, const struct batch *b, bool to)
{
	uint64_t data = in->region + BATCH_CODE_SIZE;
	size_t entries = entries_size(b);
	struct iovec ours[2] = {{b->data, entries},
				{b->data + BATCH_SCRATCH_AT, b->scratch_used}};
	struct iovec theirs[2] = {{address_of(data), entries},
				  {address_of(data + BATCH_SCRATCH_AT), b->scratch_used}};
	size_t parts = b->scratch_used ? 2 : 1;
	ssize_t n = to ? process_vm_writev(in->tid, ours, parts, theirs, parts, 0)
		       : process_vm_readv(in->tid, ours, parts, theirs, parts, 0);
	int r = 0;

	if (n == (ssize_t)(entries + b->scratch_used))
		return 0;
	for (size_t i = 0; i < parts && r == 0; i++) {
		uint64_t at = data + (i ? BATCH_SCRATCH_AT : 0);

		if (to)
			r = fd_pwrite(in->mem, ours[i].iov_base, ours[i].iov_len, at);
		else if (fd_pread(in->mem, ours[i].iov_base, ours[i].iov_len, at) !=
			 (ssize_t)ours[i].iov_len)
			r = -EFAULT;
	}
	return r;
}

int inject_aim(struct injection *in, uint64_t header, struct error **err)
{
	struct arch_regs regs = in->regs;

	arch_prepare_batch(&regs, in->region + arch_batch_entry(), header);
	return arch_set_regs(in->tid, &regs) < 0 ? lost(in, err) : 0;
}

/* The batch stands in the target, and the thread at its beginning. */
static int load(struct injection *in, struct batch *b, struct error **err)
{
	uint64_t data = in->region + BATCH_CODE_SIZE;
	int r;

	if (b->overflow)
		return fail(err, ENOSPC, "a batch for process %d is larger than its memory", in->pid);
	r = inject_rehearse_batch(in, b, err);
	if (r < 0)
		return r;
	*(struct batch_header *)b->data = (struct batch_header){
		.version = BATCH_VERSION, .count = b->count, .signal = (uint32_t)in->doorbell};
	fault_entries(batch_entry(b, 0), b->count);
	r = move_batch(in, b, true);
	if (r < 0)
		return fail_errno(err, -r, "cannot write into process %d", in->pid);
	return inject_aim(in, data, err);
}

int inject_start(struct injection *in, struct batch *b, struct error **err)
{
	int r = load(in, b, err);

	if (r < 0)
		return r;
	r = in->doorbell ? trace_continue(in->tid, 0) : trace_continue_to_syscall(in->tid);
	in->running = r == 0;
	return r < 0 ? lost(in, err) : 0;
}

int inject_finish(struct injection *in, struct batch *b, uint32_t *ret_failed,
		  struct error **err)
{
	const struct batch_header *h = (const struct batch_header *)b->data;
	int r;

	if (ret_failed)
		*ret_failed = UINT32_MAX;
	r = inject_advance(in, err);
	if (r < 0)
		return r;
	if (move_batch(in, b, false) < 0)
		return lost(in, err);
	fault_results(batch_entry(b, 0), b->count);
	if (h->executed < b->count) {
		if (ret_failed)
			*ret_failed = (uint32_t)h->executed;
		return (int)batch_result(b, (uint32_t)h->executed);
	}
	return 0;
}

int inject_run(struct injection *in, struct batch *b, uint32_t *ret_failed, struct error **err)
{
	int r;

	if (ret_failed)
		*ret_failed = UINT32_MAX;
	r = load(in, b, err);
	return r < 0 ? r : inject_finish(in, b, ret_failed, err);
}

/* System call by system call, until entry index is entered: each entry is one call. */
static int advance_to_entry(struct injection *in, struct batch *b, uint32_t index,
			    struct error **err)
{
	bool entering = false;
	struct stop stop;

	for (uint32_t entered = 0; entered <= index;) {
		int r = next_stop(in, true, &stop, err);

		if (r < 0)
			return r;
		entering = stop.kind == STOP_SYSCALL ? !entering : entering;
		entered += stop.kind == STOP_SYSCALL && entering;
	}
	if (move_batch(in, b, false) < 0)
		return lost(in, err);
	fault_results(batch_entry(b, 0), b->count);
	return 0;
}

int inject_run_meeting(struct injection *in, struct batch *b, uint32_t index,
		       void (*meet)(void *arg, const struct batch *b), void *arg,
		       uint32_t *ret_failed, struct error **err)
{
	int r = load(in, b, err);

	if (ret_failed)
		*ret_failed = UINT32_MAX;
	if (r == 0)
		r = advance_to_entry(in, b, index, err);
	if (r < 0)
		return r;
	meet(arg, b);
	return inject_finish(in, b, ret_failed, err);
}

int inject_unmap(struct injection *in, struct error **err)
{
	int64_t done;
	int r;

	if (!in->region)
		return 0;
	r = inject_call(in, SYS_munmap, (const uint64_t[6]){in->region, BATCH_REGION_SIZE}, &done,
			err);
	if (r < 0)
		return r;
	in->region = 0;
	return done < 0 ? fail_errno(err, (int)-done, "process %d cannot unmap memory", in->pid) : 0;
}

/*
 * The kernel restarts an interrupted system call only on its way through signal
 * handling.  An interrupt takes the thread there; on its way it would cure itself.
 */
static int stop_at_signals(struct injection *in, struct error **err)
{
	struct arch_regs at_cure = in->regs;
	struct stop stop;

	arch_prepare_syscall(&at_cure, in->cell + arch_cell_after(), 0, (const uint64_t[6]){0});
	if (arch_set_regs(in->tid, &at_cure) < 0 || trace_interrupt(in->tid) < 0 ||
	    trace_continue(in->tid, 0) < 0 || wait_for(in, &stop) < 0 ||
	    stop.kind == STOP_GONE)
		return lost(in, err);
	return 0;
}

/*
 * Who stands at the doorbell's signal is on that way already.  Were we killed, the signal
 * would be taken, and ignored; but if the program blocks it, it would wait for ever.
 */
static bool is_at_signals(const struct injection *in)
{
	return in->taking_signal && !(in->sigmask & SIGNAL_BIT(in->doorbell));
}

int inject_leave(struct injection *in, struct error **err)
{
	int r;

	if (!in->tid)
		return 0;
	r = is_at_signals(in) ? 0 : stop_at_signals(in, err);
	if (r < 0)
		return r;
	/* First the mask, then the registers: killed in between, the cure sets the mask again. */
	if (trace_set_sigmask(in->tid, in->sigmask) < 0 || arch_set_regs(in->tid, &in->regs) < 0)
		return lost(in, err);
	in->tid = 0;
	in->taking_signal = false;
	return 0;
}

void inject_end(struct injection *in)
{
	const unsigned char zeros[CELL_MAX] = {0};

	/*
	 * Who could not be led back still has to come through it, as if we had been killed.  A region
	 * that may be there, and has no code yet, is known to the next one by the cell only.
	 */
	if (in->cell && !in->tid && !in->mapping)
		fd_pwrite(in->mem, zeros, arch_cell_size(), in->cell);
	in->cell = 0;
}

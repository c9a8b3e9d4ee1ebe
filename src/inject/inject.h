/*
 * Running batches in a target that must survive whatever happens to us.
 *
 * A cell (arch.h) is written into the unused end of the vdso, or of another page of
 * code.  A thread that is to execute something is first pointed at the cell's cure; from then
 * on our death means that it cures itself.  Through the cell it maps the
 * region of inject/batch.h, in which batches run.
 *
 * One thread at a time: inject_enter(), any number of inject_run(), inject_leave().
 * The order of the writes in them is the promise of this file; see the comments there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/arch.h"
#include "base/error.h"
#include "inject/batch.h"
#include "proc/maps.h"

#define REHEARSED_CALLS 512
#define CELL_SLOTS 4
#define CELL_MAX 512u /* room for any architecture's cell */

struct injection {
	pid_t pid;         /* as the tool sees it: for the sentences */
	int mem;           /* /proc/PID/mem, for writing; not owned */
	uint64_t cell;     /* address of the cell, 0: none yet */
	uint64_t generation;
	uint64_t place;    /* where the region will stand: told in the cell before it does */
	bool replaces;     /* ... where one that was left stands now: there is never more than one */
	uint64_t region;   /* address of the region, 0: none yet */
	bool mapping;      /* whether it stands there by now was not heard */
	int doorbell;      /* a signal that the program ignores; 0: there is none, stop at each call */

	/* The thread that is in it now. */
	pid_t tid;         /* 0: none */
	struct arch_regs regs; /* its own */
	uint64_t sigmask;      /* its own */
	int deferred;          /* a SIGSTOP that came meanwhile */
	bool taking_signal;    /* it stands at the doorbell's signal */

	/*
	 * It is under seccomp filters that we are under as well: each call is tried by a child of
	 * ours first (rehearse.c).
	 */
	bool wary;
	uint64_t rehearsed[REHEARSED_CALLS / 64];
	pid_t born;            /* the last child or thread that a call of ours made, with PTRACE_O_TRACE{FORK,CLONE} */
	bool watched;          /* it stops where it has made one (inject_advance()) */
	bool alone;            /* it is the only thread of its process: of its end we hear at once */
	bool running;          /* inject_start() has let it run */
	bool near;             /* it shares our processor: who waits for it must not be in its way */
};

/*
 * What killed checkpoints left in a target, read when its threads are stopped.  A cell that was
 * left is never overwritten while another slot is free: a signal handler may
 * have interrupted its cure, and will return to it.
 */
struct leftovers {
	uint64_t base; /* slots go down from here; 0: the target has no place for a cell */
	struct {
		bool used;
		struct arch_cell cell;
		unsigned char bytes[CELL_MAX];
	} slots[CELL_SLOTS];
	size_t room; /* how many slots there are */
	uint64_t region; /* a whole one that was left, 0: none.  The next one takes its place */
};

void inject_look(int mem, const struct vm_areas *areas, struct leftovers *ret);

/*
 * A thread that was stopped within a left-over cell or region is given its own registers and
 * mask again: true when it was.
 */
bool inject_recover(const struct leftovers *l, struct arch_regs *regs, uint64_t *sigmask);

/* The area at this address is the region of a left-over cell: never the program's. */
bool inject_is_leftover(const struct leftovers *l, int mem, const struct vm_area *area);

/* Zeros, in a copy of the target's memory from address on, where left-over cells stand. */
void inject_hide_leftovers(const struct leftovers *l, uint64_t address, void *copy, size_t size);

/*
 * Chooses the places of the cell and of the region.  areas are those of the target; ignored is
 * the set of signals that it ignores (SigIgn), caught those it handles (SigCgt), pending
 * those that wait.  hint: where the region shall stand, 0: where there is room.
 */
int inject_begin(struct injection *in, pid_t pid, int mem, const struct vm_areas *areas,
		 const struct leftovers *l, uint64_t hint, uint64_t ignored, uint64_t caught,
		 uint64_t pending, struct error **err);

/*
 * Threads of another process that shares the memory are to enter: it takes notice of other
 * signals.  The numbers are as above.
 */
void inject_change_process(struct injection *in, pid_t pid, uint64_t ignored, uint64_t caught,
			   uint64_t pending);

/* The stopped thread is made ready: registers and mask are ours from here on. */
int inject_enter(struct injection *in, pid_t tid, const struct arch_regs *regs, uint64_t sigmask,
		 struct error **err);

/*
 * Of a wary injection: the call, those of a batch, and those that every injection makes, are
 * survived by a child of ours.  -EPERM: they are not, or it cannot be tried.
 */
int inject_rehearse(struct injection *in, long nr, struct error **err);
int inject_rehearse_batch(struct injection *in, const struct batch *b, struct error **err);
int inject_rehearse_own(struct injection *in, struct error **err);
/* The same of what makes a twin (twin.h): with the real arguments, for filters look at clone(2)'s. */
int inject_rehearse_twin(struct injection *in, struct error **err);

/* Makes the region.  Some thread must be in. */
int inject_map(struct injection *in, struct error **err);

/* One system call by the cell.  Two stops; for what cannot be done from the region. */
int inject_call(struct injection *in, long nr, const uint64_t args[6], int64_t *ret,
		struct error **err);

/*
 * Runs the batch.  0: all entries were executed; their results are in b.  When an entry
 * failed that may not: -errno of it and *ret_failed (may be NULL) is its index.  Other
 * errors have *ret_failed UINT32_MAX.
 */
int inject_run(struct injection *in, struct batch *b, uint32_t *ret_failed, struct error **err);

/*
 * The same in two steps, between which the caller has time while the target works.  Nobody else
 * may wait for children meanwhile.
 */
int inject_start(struct injection *in, struct batch *b, struct error **err);
int inject_finish(struct injection *in, struct batch *b, uint32_t *ret_failed,
		  struct error **err);

/* Points the thread that is in at the batch whose header stands at this address. */
int inject_aim(struct injection *in, uint64_t header, struct error **err);
/*
 * Continues it to the end of that batch: 0.  Where it is watched, and a call has made a child
 * that now exists: 1, and in->born is that child.
 */
int inject_advance(struct injection *in, struct error **err);

/*
 * As inject_run().  When entry index is about to be executed, meet() is called: what the entries
 * before it made in the target can be taken, and those behind it undo it, also when we die.
 * Entries before it are to have BATCH_MAY_FAIL.
 */
int inject_run_meeting(struct injection *in, struct batch *b, uint32_t index,
		       void (*meet)(void *arg, const struct batch *b), void *arg,
		       uint32_t *ret_failed, struct error **err);

/* The region is unmapped, with the thread that is in. */
int inject_unmap(struct injection *in, struct error **err);

/* Registers and mask are the thread's own again; it is stopped where system calls restart. */
int inject_leave(struct injection *in, struct error **err);

/* The cell's bytes are zero again, unless a thread is in that could not leave. */
void inject_end(struct injection *in);

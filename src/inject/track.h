/*
 * What a process has written since: by asynchronous write protection of a userfaultfd (Linux
 * 6.7), which needs no privilege and disturbs nobody, or by soft-dirty pages.
 *
 * The userfaultfd belongs to the target's address space, and it is made there; but it is held by
 * us alone, and tracking ends when the last copy of it is closed.
 */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "inject/pagemap.h"

enum track_how {
	TRACK_NOTHING, /* this kernel cannot tell */
	TRACK_UFFD,
	TRACK_SOFT_DIRTY,
};

/* What can be had here, tried on memory of our own. */
enum track_how track_probe(void);

/*
 * The thread that is in makes a userfaultfd, which we take, and closes it again: it is in no
 * table of the target's when this returns, nor after our death at any moment.  Returns the
 * descriptor.
 */
int track_make(struct injection *in, int pidfd, struct error **err);

/*
 * From now on writes to the range are told.  Again: nothing happens.  -EBUSY: it is watched by
 * another userfaultfd; -ESRCH: the address space is no more; others: such memory cannot be.
 */
int track_register(int uffd, uint64_t start, uint64_t end);

/*
 * Takes the protection from the range again, in steps between which the program goes on.  To close the
 * userfaultfd does so as well, but all at once, and whoever touches memory meanwhile waits (30 ms for 1
 * GiB).  Ranges that are not watched are passed over.
 */
void track_disarm(int uffd, uint64_t start, uint64_t end);

/* All of the range counts as not written, from now on. 0 or -errno. */
int track_arm(int pagemap, uint64_t start, uint64_t end);
/* The same of the whole address space by soft-dirty pages; proc: its /proc/PID. */
int track_clear_soft_dirty(int proc);

/*
 * Adds what was written since, or what nobody can say of: of ranges that are not watched, all.
 * Pages that are not there may be among them or not.
 */
int track_written(int pagemap, enum track_how how, uint64_t start, uint64_t end,
		  struct page_ranges *ret);

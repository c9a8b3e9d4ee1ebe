/*
 * Calls in a target that fail at will, for tests/faults: in builds with -Dfaults=true only, of which
 * no other has a trace.  The environment says which one, counted over the whole run:
 *
 *	STASIS_FAULT="NUMBER ERRNO" STASIS_FAULT_REPORT=FILE
 *
 * FILE is told how many there were, and the system call that failed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "inject/batch.h"

#ifdef STASIS_FAULTS
/* Before entries are given to a target, and when they are back. */
void fault_entries(struct batch_entry *entries, size_t count);
void fault_results(struct batch_entry *entries, size_t count);
#else
static inline void fault_entries(struct batch_entry *entries, size_t count)
{
	(void)entries;
	(void)count;
}

static inline void fault_results(struct batch_entry *entries, size_t count)
{
	(void)entries;
	(void)count;
}
#endif

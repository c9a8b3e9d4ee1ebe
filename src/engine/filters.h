/*
 * Seccomp and the checkpoint.  A filter judges calls that are injected as if they were the
 * program's own, and may end it for one.  There are two ways around that:
 *
 * - suspended: CAP_SYS_ADMIN (and no filter on the tool) switches filters off while the tool
 *   traces.  They are read, and put on again by the restore (kind/seccomp.c).
 * - ours: in a container tool and program are often under the very same filters, inherited
 *   from one ancestor.  Nobody tells whether two filters are the same.  But filters only
 *   ever grow in number, and are inherited: when the nearest common ancestor, the tool, the
 *   program and all between them have the same number of them, then nobody has put on one of his own
 *   (unless the ancestor did so later, and just as many as one of the others: then the calls
 *   that a child of ours has tried are what is relied on).  Each call is tried first
 *   (inject/rehearse.c); the restore inherits the filters as the program did.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "proc/status.h"
#include "task/rebuild.h"
#include "task/task.h"

/* The thread is stopped: its filters are suspended, or it is wary, or this is an obstacle. */
int filters_admit(struct thread *t, struct error **err);

/* Before anything is stopped: adds an obstacle when neither way will do. */
void filters_foresee(const struct proc_status *st, struct error **err);

/* PTRACE_O_SUSPEND_SECCOMP where the image has filters to be put on, else 0. */
unsigned long filters_restore_options(const struct rebuild *r);

/* All threads from both processes up to their nearest common ancestor have so many filters. */
bool filters_are_shared(pid_t a, pid_t b, uint32_t count);

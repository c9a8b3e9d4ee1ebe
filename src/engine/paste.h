/*
 * Content for the memory of a task that is being rebuilt, and stands still.  Pages are put in
 * place by userfaultfd(2) where that is possible; else by process_vm_writev(2), or by force.
 */
#pragma once

#include "base/error.h"
#include "base/vec.h"
#include "task/rebuild.h"

struct paste_range {
	uint64_t start, end;
};

struct paste {
	const struct rebuilt_task *task;
	int uffd;    /* -1: none */
	bool apart;  /* see priv_open_newborn() */
	int pagemap; /* tells what is there already; -1: nobody looked, or nobody can */
	/* What is registered with it, sorted. */
	VEC(struct paste_range) ranges;
};

#define PASTE_NONE ((struct paste){.uffd = -1, .pagemap = -1})

/* Huge pages are made where they were, so that what comes next goes into them. */
int paste_begin(struct paste *p, const struct rebuild *r, const struct rebuilt_task *t,
		struct error **err);

/* Much is to come: the fast way is prepared.  Nobody may be in paste_write(). */
int paste_speed_up(struct paste *p, struct error **err);

/* Writes into private mappings only.  Several threads may do so at once. */
int paste_write(const struct paste *p, uint64_t address, const void *data, uint64_t size,
		struct error **err);

/* The mappings are again as they were: nothing of the fast way is left. */
void paste_end(struct paste *p);
#define cleanup_paste __attribute__((cleanup(paste_end)))

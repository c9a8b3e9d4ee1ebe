/* Rebuilding an address space in a process that stands at the first instruction of its file. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "task/rebuild.h"

/* This kernel's vdso is the image's, and the addresses can be had: else obstacles. */
int check_space(const struct rebuild *r, struct error **err);

/*
 * Clears the new process, but for what it keeps of the one it was forked from, moves the vdso and
 * maps all areas.  The main thread is in afterwards.
 */
int build_space(const struct rebuild *r, struct rebuilt_task *t, struct injection *in,
		struct error **err);

/* Once the content is there: advice, guards, locks, huge pages, and the kernel's own notes. */
int finish_space(const struct rebuild *r, struct rebuilt_task *t, struct injection *in,
		 struct error **err);

/* A batch grows by one entry; it is run first when there is no room for more. */
int make_room(struct injection *in, struct batch *b, uint32_t entries, const char *doing,
	      struct error **err);
int run_batch(struct injection *in, struct batch *b, const char *doing, struct error **err);

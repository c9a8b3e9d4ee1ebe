/*
 * The address space that many copies of a program begin with: restore --clone.
 *
 * A template is a process that never runs.  It executes the file of the image's first process and
 * is given that one's private memory; then it is forked once for each copy, which so costs its
 * page tables, and later the pages that it writes.  All else, shared memory
 * included, each copy is given as in any restore.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/vec.h"
#include "engine/birth.h"
#include "engine/chain.h"
#include "task/rebuild.h"

struct template_file {
	uint32_t id;
	dev_t dev;
	ino_t ino;
};

struct template {
	struct rebuild rebuild;
	struct chain chain;
	VEC(struct template_file) files; /* that are mapped */
	struct rebuilt_task *task; /* of rebuild; NULL: it is not there yet */
	uint64_t bytes;            /* of memory that were put in place */
};

/* Makes it, and reads the memory of the image's first process into it. */
int template_make(struct template *ret, const char *image, const struct restore_options *o,
		  struct error **err);

/*
 * The root of a copy, seized, with the template's memory: like give_birth().  It has the tool's
 * descriptors of r->files under the same numbers.  With b->init it lives in that one's namespaces
 * as a child of ours: nsinit_adopt() follows.
 */
int template_fork(struct template *t, struct rebuild *r, struct rebuilt_task *root,
		  struct birth *b, struct error **err);

/* It ends; what was forked from it goes on. */
void template_end(struct template *t);

/* ---- Of its own ---- */

/* The areas say henceforth that there are huge pages where the image has all of one. */
int template_note_huge(struct template *t, const char *image, struct error **err);

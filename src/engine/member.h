/* One process of a tree that is being checkpointed: what is undone for it, and what is written of it. */
#pragma once

#include "base/error.h"
#include "engine/early.h"
#include "engine/engine.h"
#include "engine/snapshot.h"
#include "image/writer.h"
#include "inject/inject.h"
#include "records.pb-c.h"
#include "task/capture.h"

struct member {
	struct task *task; /* in the capture's tree */
	struct injection injection, *in; /* its own, or that of whom it shares memory with */
	int deferred; /* a SIGSTOP that came while its threads were busy for us */
	Rec__Task *record;
	Rec__Memory *memory;   /* NULL: a zombie's, or another member has it */
	Rec__Thread **threads; /* NULL at the end */
	enum freeze freeze;       /* how that memory is to be kept as it is */
	bool compared;            /* what of it its parent has is known */
	struct snapshot snapshot; /* of that memory */
	/* Of tracking.h: what tells us of its writes (-1: nothing), and what of it the parent image has. */
	int uffd;
	bool known;
	struct page_ranges clean;
	bool stopped;
};

void member_free(struct member *m);

/* Its memory is as it was.  What fails here fails because the process is gone. */
void member_cure(struct member *m);
/* Lets it go on; signal: it is sent that first (0: none).  All members are cured. */
void member_let_go(struct member *m, int signal);

/* From outside: what the process is.  It stands still and is untouched. */
int member_read(struct member *m, const struct early_list *early, struct error **err);
/* Its descriptors and the Task record. */
int member_describe(struct capture *c, struct member *m, struct error **err);
/* Its memory map.  Obstacles are collected. */
int member_look(struct capture *c, struct member *m, struct error **err);
/* What it must be asked for by injected calls. */
int member_ask(struct capture *c, struct member *m, struct error **err);

/* Its memory is read from here on. */
int member_open(struct member *m, struct error **err);
/* It is kept as it is: see snapshot_take(). */
int member_freeze(struct member *m, struct spool *spool, uint64_t *copied, struct error **err);
/* It is to be compared with its parent (or NULL) now, and not when the clones of both go on alone. */
bool member_is_due(const struct member *m, const struct member *parent, bool clones);
/*
 * What its children among the members still share with it of its memory; all of them are stopped, or
 * have a snapshot.  Of those that are due, and not compared yet.
 */
int member_bequeath(const struct member *parent, struct member *members, size_t count, bool clones,
		    struct error **err);

int member_write_records(const struct member *m, struct image_writer *w, struct error **err);
int member_write_memory(struct member *m, const struct checkpoint_options *o,
			struct image_writer *w, struct error **err);

int member_kill(const struct member *m, struct error **err);
/* Until all of its threads have ended. */
void member_wait(struct member *m);

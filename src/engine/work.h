/* One program on its way back: the steps of a restore, for those that take them more than once. */
#pragma once

#include <sys/resource.h>

#include "engine/birth.h"
#include "engine/chain.h"
#include "engine/fill.h"
#include "engine/lazy.h"
#include "engine/plan.h"
#include "engine/restore.h"
#include "engine/template.h"

/* All that must not be left behind. */
struct work {
	struct rebuild rebuild;
	struct chain chain; /* the images below, where it is an incremental one */
	struct plan plan;
	struct birth birth;
	struct priv priv;
	struct image_reader *reader;
	struct fill fill;
	struct lazy lazy;
	int lazy_report;
	struct template *template; /* its root is forked from there; NULL: it is made */
	struct rlimit files; /* our own limit before */
	bool limit_raised;
	bool alive; /* the program runs: it is not ours to end any more */
};
#define WORK_INIT(o) {.birth = {.init = NSINIT_NONE}, .rebuild = {.options = (o), REBUILD_INIT}, \
		      .lazy = LAZY_NONE, .lazy_report = -1}

/* Reads the records and refuses what cannot be: nothing was made when it returns. */
int work_prepare(struct work *w, const char *image, struct error **err);

/* Everything but running: all processes stand where they were. */
int work_make(struct work *w, struct error **err);

/* All of them run, and are ret's; or, also when we are killed here, none is to. */
int works_let_go(struct work *works, size_t count, struct revived *ret, struct error **err);

/* Of a program that does not run nothing is left. */
void work_end(struct work *w);

/* Processes of ours that never ran. */
void end_tasks(struct rebuild *r);

/* One description, out of the way of 0, 1 and 2. */
int open_file(struct rebuild *r, struct rebuilt_file *f, struct error **err);

/* What contents were written through is not needed any more. */
void close_shared(struct rebuild *r);

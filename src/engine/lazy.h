/*
 * Memory that comes when it is asked for: restore --lazy.
 *
 * The large anonymous areas of the program are left empty and registered with userfaultfd(2).  A
 * process of ours, the server, puts in place what is touched, and all the rest meanwhile;
 * then it lets go of them, and they are as any other memory.  It tells by the image's hashes
 * whether what it puts there is what was written.
 *
 * Memory that nobody serves would be zeros.  So a second process, the guard, has the same
 * descriptors and watches: when one of the two ends before its time, the other ends the program.
 */
#pragma once

#include "base/error.h"
#include "base/vec.h"
#include "engine/fill.h"
#include "engine/todo.h"
#include "image/decode.h"
#include "task/rebuild.h"

struct lazy_frame {
	struct image_stored stored;
	size_t first_run, run_count;
	bool done;
};

/* Where a part of a run belongs, and which frame has it. */
struct lazy_place {
	uint64_t start, end;
	size_t frame;
	size_t area;
};

/* An address space: of a task, or of a child that it has forked since. */
struct lazy_space {
	int uffd;
	struct todo todo;
	bool gone;
};

/* What stands in the image for one task. */
struct lazy_memory {
	struct rebuilt_task *task;
	VEC(struct lazy_frame) frames; /* in the order of the image, like their runs */
	VEC(struct page_run) runs;
	VEC(struct lazy_place) places; /* what may wait, in the order of addresses */
	size_t next, left; /* frames */
	VEC(struct lazy_space) spaces; /* the task's own first */
};

/* A process that ends when it cannot be served. */
struct lazy_target {
	pid_t pid;
	int pidfd;
};

struct lazy {
	int fd; /* of the image */
	uint64_t base;
	VEC(struct lazy_memory) memories;
	VEC(struct lazy_target) targets;
	int report; /* where both say what went wrong; -1: nobody wants to know */
};
#define LAZY_NONE {.fd = -1, .report = -1}

/* Here, and of this image: else an obstacle. */
int lazy_check(const struct rebuild *r, const struct image_reader *reader, bool may,
	       struct error **err);

/* Memory that others have by fork(2) is filled at once, as is that of short areas. */
bool lazy_takes(const struct rebuild *r, const struct rebuilt_task *t);

/* Instead of fill_memory(): what is left to be served is noted. */
int lazy_note(struct lazy *l, struct rebuild *r, struct rebuilt_task *t, struct fill *fill,
	      struct error **err);

/*
 * All tasks are born.  From here on they are served.  *ret_report: a descriptor from which a
 * sentence can be read if the program had to be ended.
 */
int lazy_begin(struct lazy *l, const struct rebuild *r, int *ret_report, struct error **err);

void lazy_free(struct lazy *l);

/* ---- Of its own ---- */

/* Both processes: they do not return.  other is a socket to the other one. */
__attribute__((noreturn)) void lazy_serve(struct lazy *l, int other);
__attribute__((noreturn)) void lazy_guard(struct lazy *l, int other);

/* What the server tells the guard: a descriptor comes with the first. */
enum lazy_word {
	LAZY_FORKED = 'f',
	LAZY_DONE = 'd',
};

/* SIGKILL to the targets and to all that they have made; why is for whoever waits for them. */
void lazy_end_program(const struct lazy *l, const char *why);

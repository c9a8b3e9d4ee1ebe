/*
 * Jobs that other threads do.  The first half of a job (work) may run beside that of
 * others; the second half (finish) runs in the order in which the jobs were added, one
 * at a time.  After the first failure nothing more is done and every job is only
 * released, so that whoever waits never waits in vain.
 *
 * One thread adds and waits.  What a job's functions touch belongs to the workers from
 * pipeline_add() until a wait has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct pipeline;

/* The first member of what a job really is. */
struct pipeline_job {
	struct pipeline_job *next;
	bool ready; /* the workers may have it */
};

struct pipeline_ops {
	/* Both may be NULL. */
	void (*work)(void *arg, struct pipeline_job *job, unsigned worker);
	void (*release)(void *arg, struct pipeline_job *job);
	int (*finish)(void *arg, struct pipeline_job *job, unsigned worker, struct error **err);
};

/*
 * worker, as the functions get it, is less than workers.  The threads begin with the second
 * job; a single one is done by whoever waits for it.
 */
int pipeline_new(struct pipeline **ret, unsigned workers, const struct pipeline_ops *ops,
		 void *arg);

/* ready false: the workers wait for it, and for what comes after it, until pipeline_ready(). */
void pipeline_add(struct pipeline *p, struct pipeline_job *job, bool ready);

/* The oldest job that is not ready is now.  False: there is none. */
bool pipeline_ready(struct pipeline *p);

/* How many jobs are not ready. */
size_t pipeline_unready(struct pipeline *p);

/* Until at most this many jobs are left.  For 0 all of them must be ready. */
void pipeline_wait(struct pipeline *p, size_t left);

/* 0, or the first failure; its words are given once. */
int pipeline_failure(struct pipeline *p, struct error **err);

/* Jobs that are left are released, not done. */
void pipeline_free(struct pipeline *p);

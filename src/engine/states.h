/* The state kinds' part of a restore: the calls by which threads get their states back. */
#pragma once

#include "base/error.h"
#include "base/vec.h"
#include "inject/inject.h"
#include "kind/kind.h"
#include "task/rebuild.h"

/* Calls of many kinds in one batch, and which kind's begin where: for the sentence about a failure. */
struct state_calls {
	struct batch batch;
	VEC(struct state_mark) marks;
};

struct state_mark {
	uint32_t first;
	const char *what;
};

int states_begin(struct state_calls *c, const struct injection *in, struct error **err);
void states_free(struct state_calls *c);
#define cleanup_states __attribute__((cleanup(states_free)))

/*
 * Adds the calls of the states of one phase that belong to this thread, which is in.  They are run by
 * states_run(), and before that only when there is no room for more.
 */
int states_add(const struct rebuild *r, const struct rebuilt_thread *th, enum state_phase phase,
	       struct injection *in, struct state_calls *c, struct error **err);
int states_run(struct injection *in, struct state_calls *c, struct error **err);

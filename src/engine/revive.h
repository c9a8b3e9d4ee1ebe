/* Threads of a restored task: making them, giving each its state, and letting all go together. */
#pragma once

#include "base/error.h"
#include "engine/birth.h"
#include "inject/inject.h"
#include "kind/kind.h"
#include "task/rebuild.h"

/* Makes all threads but the main one.  Each is then stopped and ours. */
int make_threads(const struct rebuild *r, struct rebuilt_task *t, const struct birth *b,
		 struct error **err);

/*
 * Gives every thread its own state; the main one is left last, without the region.  The task
 * that owns an address space comes after all that share it.
 */
int revive_threads(const struct rebuild *r, struct rebuilt_task *t, struct error **err);

/* What only the target itself can tell, asked by batches; and the records that come of it. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "records.pb-c.h"
#include "task/capture.h"

/*
 * Asks every thread of the stopped task, and adds the records of all state kinds to c.
 * threads gets one record for each thread, in their order; memory gets brk and lock_future.
 * Of a task that shares memory: in is that of the owner, who was asked before; memory is NULL.
 * The region stays mapped; obstacles are collected in *err.
 */
int ask_task(struct capture *c, struct task *task, struct injection *in, Rec__Memory *memory,
	     Rec__Thread ***ret_threads, struct error **err);

/* Unmaps the region with the main thread and forgets the cell: the task is as it was. */
int cure_task(struct task *task, struct injection *in, struct error **err);

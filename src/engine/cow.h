/* Memory that a child has had from its parent since fork(2), and that neither has written to. */
#pragma once

#include "base/error.h"
#include "records.pb-c.h"
#include "task/task.h"

/*
 * Fills child_memory->inherited with the pages that parent and child still share: such that a
 * fork(2) of the parent gives them to the child, and nothing of them needs to be saved.
 */
int find_inherited(const struct task *child, Rec__Memory *child_memory, const struct task *parent,
		   const Rec__Memory *parent_memory, struct error **err);

/* Memory that a child has had from its parent since fork(2), and that neither has written to. */
#pragma once

#include "base/error.h"
#include "engine/source.h"
#include "records.pb-c.h"
#include "task/task.h"

/* One of the two. */
struct kin {
	const struct task *task;
	const Rec__Memory *memory;
	const struct page_source *source;
};

/*
 * Makes the list of the pages that parent and child still share: such that a fork(2) of the parent
 * gives them to the child, and nothing of them needs to be saved.  Of frozen clones nobody knows any
 * more which pages were shared: those that hold the same are.
 */
int find_inherited(const struct kin *child, const struct kin *parent, Rec__Range ***ret,
		   size_t *ret_count, struct error **err);

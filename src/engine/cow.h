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

/* A child, and the list of the pages that it still shares with its parent. */
struct inheritance {
	struct kin child;
	Rec__Range **ranges;
	size_t count;
};

/*
 * Makes the lists of several children of one parent: such that a fork(2) of the parent gives these
 * pages to the child, and nothing of them needs to be saved.  Of frozen clones nobody knows any
 * more which pages were shared: those that hold the same are.  The parent is read once for all.
 */
int find_inherited(struct inheritance *children, size_t count, const struct kin *parent,
		   struct error **err);

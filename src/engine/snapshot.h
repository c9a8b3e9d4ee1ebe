/* The memory of one address space as it was at the checkpoint, wherever that is kept. */
#pragma once

#include "base/error.h"
#include "engine/freeze.h"
#include "engine/source.h"
#include "engine/spool.h"
#include "inject/twin.h"
#include "records.pb-c.h"
#include "task/task.h"

struct snapshot {
	enum freeze freeze;
	struct twin twin;
	struct spooled_list copied;
	struct page_source target, clone, spool;
};

#define SNAPSHOT_NONE                                                                       \
	((struct snapshot){.twin = TWIN_NONE,                                               \
			   .target = PAGE_SOURCE_NONE,                                      \
			   .clone = PAGE_SOURCE_NONE,                                       \
			   .spool = PAGE_SOURCE_NONE})

/* Memory frames have its pages. */
bool area_is_private(const Rec__Area *a);

/* Making a process of it harms nobody, whenever we may be killed. */
bool snapshot_may_clone(const struct task *task);

/* Adds what is to be known for choose_freeze(). */
void snapshot_weigh(const struct task *task, const Rec__Memory *m, const struct page_ranges *clean,
		    struct freeze_facts *facts);

/* The memory of a stopped task, as long as it is stopped. */
int snapshot_open(struct snapshot *s, const struct task *task, struct error **err);

/*
 * Takes it from the stopped target; in: how its threads are entered, none is.  -EAGAIN, -EPERM and
 * others: it cannot be cloned, and is as it was.  Adds to *copied the pages that were copied: of
 * those in clean nobody will ask.
 */
int snapshot_take(struct snapshot *s, enum freeze how, const struct task *task,
		  struct injection *in, const Rec__Memory *m, const struct page_ranges *clean,
		  struct spool *spool, uint64_t *copied, struct error **err);

/* Where all is read from but what a clone cannot freeze; not what was copied. */
const struct page_source *snapshot_whole(const struct snapshot *s);
/* Where the pages of this area are read from. */
const struct page_source *snapshot_source(const struct snapshot *s, const Rec__Area *a);

/*
 * Of one that is held: a process that has the target's memory and can write it, from here to the
 * other call.  Meanwhile nothing can be done with the target.  Without it memory is read as ever.
 */
void snapshot_assist(struct snapshot *s, const struct task *task, struct injection *in);
void snapshot_dismiss(struct snapshot *s, struct injection *in);

void snapshot_end(struct snapshot *s);

/*
 * Incremental checkpoints: which pages of a tree are still those of the image before, and the
 * tracking from this one on (inject/track.h, engine/holder.h).
 */
#pragma once

#include "base/error.h"
#include "engine/chain.h"
#include "engine/engine.h"
#include "engine/holder.h"
#include "engine/member.h"

struct tracking {
	bool wanted;             /* from this image on */
	bool incremental;        /* this image has a parent */
	enum track_how how;      /* what can be had here */
	struct chain_link parent;
	struct tracked held;     /* what the holder of the checkpoint before gave us */
	char *hint;
	Rec__Parent record;      /* its path is the hint */
};

#define TRACKING_NONE                                                          \
	((struct tracking){.parent = {.fd = -1}, .held = TRACKED_NONE,         \
			   .record = REC__PARENT__INIT})

void tracking_free(struct tracking *t);

/* What can be refused without the target. */
int tracking_begin(struct tracking *t, const struct checkpoint_options *o, struct error **err);

/*
 * The tree stands still and its mappings were read: finds the holder.  Mappings that are watched
 * by us alone no longer say so; watched: since a moment ago.
 */
int tracking_meet(struct tracking *t, const struct tracked *watched, struct member *members,
		  size_t count, struct error **err);

/*
 * Fills m->clean with what was not written since the parent image.  Without a parent nothing is
 * clean.
 */
int tracking_find_clean(const struct tracking *t, struct member *m, struct error **err);

/*
 * From here on counts what is written, for the image that is being made.  The member has been
 * asked and its region is there; the tree still stands still.
 */
int tracking_renew(struct tracking *t, struct member *members, size_t count, struct error **err);

/* Fills Memory.unchanged, when it is known what it has of its parent process. */
int tracking_fill_record(const struct tracking *t, struct member *m, struct error **err);

/* The image is durable: who holds the tracking knows it by its identity. */
int tracking_keep(struct tracking *t, const struct member *members, size_t count,
		  const struct image_identity *identity, struct error **err);

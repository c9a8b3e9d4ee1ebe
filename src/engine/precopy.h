/*
 * Copying memory while the program runs, again and again what it has written meanwhile, so that
 * little is left for the pause.  The copies stand in a file without a name beside the image.
 */
#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "engine/holder.h"
#include "engine/member.h"
#include "engine/spool.h"

/* An address space. */
struct precopied {
	pid_t pid;
	uint64_t starttime;
	struct spooled_list have; /* what was copied; what of it still holds the pages tell */
};

struct precopy {
	struct tracked watched; /* all of the tree whose memory is watched for this */
	VEC(struct precopied) spaces;
	uint64_t rounds, copied; /* bytes, in all rounds */
};

#define PRECOPY_NONE ((struct precopy){.watched = TRACKED_NONE})

/* After a round: what it copied, and the one before it.  Pure. */
bool precopy_goes_on(unsigned int round, uint64_t copied, uint64_t before);

/*
 * Copies to the spool, in rounds.  What cannot be watched, for whatever reason, is not copied: the
 * checkpoint takes it as it would without this.  A program that is tracked since an image is
 * not from here on.
 */
int precopy_run(struct precopy *p, pid_t pid, const struct checkpoint_options *o,
		struct spool *spool, struct error **err);

/* The member stands still: m->clean becomes what was copied and is as it was then. */
int precopy_find_clean(const struct precopy *p, struct member *m, struct error **err);

/* Its snapshot, which copied all but m->clean, gets that as well. */
int precopy_hand_over(const struct precopy *p, struct member *m, struct error **err);

void precopy_free(struct precopy *p);

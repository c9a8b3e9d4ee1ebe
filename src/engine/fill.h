/* Memory frames of an image, to where they belong. */
#pragma once

#include "base/error.h"
#include "engine/chain.h"
#include "image/pump.h"
#include "task/rebuild.h"

/* How far the reader is. */
struct fill {
	struct image_reader *reader; /* not owned */
	struct image_pump *pump;
	struct image_frame frame; /* the next one, when more is true */
	bool more;
	bool some;     /* contents of files that are not open are passed over */
	uint64_t done; /* bytes that are in place */
};

void fill_free(struct fill *fill);
#define cleanup_fill __attribute__((cleanup(fill_free)))

/*
 * Contents of files come first in an image: they go to the descriptors that their kinds
 * registered.  Stops before the first frame of an address space.
 */
int fill_contents(struct rebuild *r, struct fill *fill, struct error **err);

/* The same, but what belongs to files that are not open is passed over. */
int fill_known_contents(struct rebuild *r, struct fill *fill, struct error **err);

/*
 * Those of one task, which stand next in the image, and what of its memory is in the images below
 * (c may have none).  It is stopped.  All of it is there, and was verified, when this returns 0.
 */
int fill_memory(struct rebuild *r, struct rebuilt_task *t, const struct chain *c,
		struct fill *fill, struct error **err);

/* The first task has its memory already.  Where no other has frames, the rest is not even read. */
int fill_skip(struct rebuild *r, struct fill *fill, struct error **err);

/* Nothing may be left: the image was read to its end, and verified. */
int fill_end(struct fill *fill, struct error **err);

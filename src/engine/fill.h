/* Memory frames of an image, to where they belong. */
#pragma once

#include "base/error.h"
#include "image/reader.h"
#include "task/rebuild.h"

/* How far the reader is. */
struct fill {
	struct image_reader *reader;
	struct image_frame frame; /* the next one, when more is true */
	bool more;
	bool some;     /* contents of files that are not open are passed over */
	uint64_t done; /* bytes that are in place */
};

/*
 * Contents of files come first in an image: they go to the descriptors that their kinds
 * registered.  Stops before the first frame of an address space.
 */
int fill_contents(struct rebuild *r, struct fill *fill, struct error **err);

/* The same, but what belongs to files that are not open is passed over. */
int fill_known_contents(struct rebuild *r, struct fill *fill, struct error **err);

/* Those of one task, which stand next in the image; it is stopped. */
int fill_memory(struct rebuild *r, struct rebuilt_task *t, struct fill *fill, struct error **err);

/*
 * One run, to its place; t: whose turn it is, NULL: that of contents.  By ordinary writes: also
 * for what comes from the images below an incremental one (chain.h).
 */
int fill_run(struct rebuild *r, const struct rebuilt_task *t, const struct page_run *run,
	     const char *data, struct error **err);
/* The first task has its memory already.  Where no other has frames, the rest is not even read. */
int fill_skip(struct rebuild *r, struct fill *fill, struct error **err);

/* Nothing may be left: the image was read to its end, and verified. */
int fill_end(const struct fill *fill, struct error **err);

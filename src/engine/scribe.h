/*
 * A twin of the target that writes its own memory: pwritev(2) from its pages straight into the
 * image costs one copy, where reading them first costs two.  Another thread hashes what
 * it has written (image_writer_reserve()), and the caller's looks meanwhile for what comes next.
 */
#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "engine/source.h"
#include "image/writer.h"
#include "inject/twin.h"

struct scribe;

/*
 * source: the same memory, for what the twin itself cannot write.  *ret NULL with 0: it cannot
 * write here (the image is a pipe, or compressed; no descriptor is left to it), and is as it was.
 */
int scribe_open(struct scribe **ret, struct twin *twin, const struct page_source *source,
		struct image_writer *w, const struct checkpoint_options *o, struct error **err);

/*
 * Writes the pages of a range that it may read, now or later.  Stretches of pages that are zero are
 * left out, where keep_zeros does not say otherwise and where they are seen at a glance.
 */
int scribe_add(struct scribe *s, uint64_t object, struct page_range range, bool keep_zeros,
	       struct error **err);

/* All of it was written. */
int scribe_finish(struct scribe *s, struct error **err);
void scribe_free(struct scribe *s);

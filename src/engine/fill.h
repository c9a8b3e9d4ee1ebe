/* Memory frames of an image, to where they belong. */
#pragma once

#include "base/error.h"
#include "image/reader.h"
#include "task/rebuild.h"

/*
 * Takes the first memory frame (already read, when more is true) and all others to the
 * end of the image.  Contents of files go to the descriptors that their kinds registered; those
 * of address spaces to the tasks, which are stopped.
 */
int fill_memory(struct rebuild *r, struct image_reader *reader, struct image_frame *frame,
		bool more, struct error **err);

/* The content of files that goes into the image: where the data of a file is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "records.pb-c.h"
#include "task/capture.h"

/* What capture_content() has added for an object, for its record.  0 or -ENOMEM. */
int content_ranges(const struct capture *c, uint32_t object, size_t *ret_count,
		   Rec__Range ***ret_ranges);

/* Ranges of an image: whole pages, in order, and none behind the last page of the file. */
bool content_ranges_valid(size_t count, Rec__Range *const *ranges, uint64_t size);

/* The largest file that is believed: what off_t can say, with room for rounding up. */
#define CONTENT_SIZE_MAX (INT64_MAX - 0xffff)

/* From an image to the plan of a restore.  What is not consistent is refused here. */
#pragma once

#include "base/error.h"
#include "image/reader.h"
#include "task/rebuild.h"

/*
 * Reads all records.  The reader then stands before the first memory frame, which
 * is *ret_frame; *ret_more is false when END came at once.
 */
int load_image(struct image_reader *reader, struct rebuild *r, struct image_frame *ret_frame,
	       bool *ret_more, struct error **err);

/* The records fit together.  Pure; obstacles are collected. */
int validate_image(struct rebuild *r, struct error **err);

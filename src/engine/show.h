/* What is in an image, as text. */
#pragma once

#include "base/error.h"
#include "image/frame.h"

enum show_format {
	SHOW_SUMMARY,
	SHOW_RECORDS,
	SHOW_JSON,
};

/* *ret is freed by the caller. */
int engine_show(const char *image, enum show_format format, char **ret, struct error **err);

/* Reads all of it, and of the images below, and checks every hash. */
int engine_verify(const char *image, struct image_stats *ret_stats,
		  struct image_identity *ret_identity, struct error **err);

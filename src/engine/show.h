/* What is in an image, as text. */
#pragma once

#include "base/error.h"

enum show_format {
	SHOW_SUMMARY,
	SHOW_RECORDS,
	SHOW_JSON,
};

/* *ret is freed by the caller. */
int engine_show(const char *image, enum show_format format, char **ret, struct error **err);

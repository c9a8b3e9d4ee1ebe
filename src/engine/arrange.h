/* Bringing inherited descriptors to the numbers that the program knows. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "task/rebuild.h"

/* The highest number that is needed in between, for the limit on descriptors. */
int arrange_descriptors(const struct rebuild *r, const struct rebuilt_task *t,
			struct injection *in, struct error **err);

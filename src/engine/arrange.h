/* Bringing inherited descriptors to the numbers that the program knows. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"
#include "task/rebuild.h"

/* The main thread is in.  The highest number needed in between is a matter of RLIMIT_NOFILE. */
int arrange_descriptors(const struct rebuild *r, const struct rebuilt_task *t, struct error **err);

/* Descriptors of the tool for a process that exists already: through a socket. */
#pragma once

#include "base/error.h"
#include "inject/inject.h"

/*
 * The process whose main thread is in gets count descriptors of ours under the same numbers, and
 * keeps no others.  to is our end of a socket pair (SOCK_DGRAM), from the number of the other end
 * in the process.
 */
int hand_over(struct injection *in, int to, int from, const int *fds, size_t count,
	      struct error **err);

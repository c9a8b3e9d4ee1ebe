/* Standard input, output and error, where they are those of whoever restores. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/*
 * Puts what was given in the place of what the descriptors 0, 1 and 2 of the root showed.  What
 * nobody shows any more then is marked as replaced, and need not be there.  A description from
 * outside that stood at several of these numbers is parted when they are different things now.
 */
int replace_standard(struct rebuild *r, struct error **err);

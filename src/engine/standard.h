/* Standard input, output and error, where they are those of whoever restores. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/*
 * Puts what was given by number (--inherit) in the place of the descriptions that the numbers
 * showed, wherever these are shown; and then
 * puts what was given in the place of what the descriptors 0, 1 and 2 of the root showed, for all
 * members that have them from the root.  What
 * nobody shows any more is marked as replaced, and need not be there.  A description from
 * outside that stood at several of these numbers is parted when they are different things now.
 */
int replace_standard(struct rebuild *r, struct error **err);

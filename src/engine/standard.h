/* Standard input, output and error that whoever restores has given. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/*
 * Puts what was given in the place of what the descriptors 0, 1 and 2 of the root showed.  What nobody
 * shows any more then is marked as replaced, and need not be there.
 */
int replace_standard(struct rebuild *r, struct error **err);

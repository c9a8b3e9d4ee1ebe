/* How the processes of an image belong together.  Pure; hostile images end here. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/* Sets parent, memory_of, ... of all tasks from the numbers in their records; or -EBADMSG. */
int family_link(struct rebuild *r, struct error **err);

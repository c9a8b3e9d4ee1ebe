/* What an image asks of this machine without giving anything for it. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/*
 * Huge pages are made whether there is content for them or not, and guards take page tables.
 * Of so many huge pages as memory has not room for (bytes) a process has none; guards that it has no
 * room for are refused.
 */
int afford_memory(struct rebuild *r, uint64_t memory, struct error **err);

/* Of this machine, in bytes. */
uint64_t machine_memory(void);

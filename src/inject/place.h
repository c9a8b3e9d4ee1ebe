/* Where the cell and the region may stand in a target. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proc/maps.h"

/* The distance between slots: a cell's size, rounded up. */
size_t inject_cell_stride(void);

/*
 * Free address space of this size with room around it, so that the kernel merges what is
 * mapped there with nobody else's mapping, and stacks can grow.  0: there is none.
 */
uint64_t inject_find_gap(const struct vm_areas *areas, uint64_t size);

/*
 * Which pages of an address space are there: PAGEMAP_SCAN (Linux 6.7,
 * Documentation/admin-guide/mm/pagemap.rst), or reading /proc/PID/pagemap.
 * Both need ptrace rights only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct page_range {
	uint64_t start, end;
};

struct page_ranges {
	VEC(struct page_range) list;
};

/*
 * Adds the ranges of [start, end) that hold memory of the process's own: present or swapped,
 * not a page of a file (so, of a private file mapping, the changed ones), not the zero page.
 * 0 or -errno.
 */
int pagemap_private(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);

/* Adds the ranges that are huge pages.  -EOPNOTSUPP: this kernel cannot tell. */
int pagemap_huge(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);

/* Adds the ranges with guard markers.  -EOPNOTSUPP: this kernel cannot tell. */
int pagemap_guards(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);

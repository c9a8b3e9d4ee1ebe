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

/*
 * The same, of mappings that have no file.  Whether a page is a file's, the kernel has to look up
 * for each, 50 ns; all else stands in the page tables, which takes a tenth of that.
 */
int pagemap_anonymous(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);

/* Mappings that are asked for in the order of their addresses: what lies behind is found as well. */
struct page_walk {
	int pagemap;       /* whose pages these are */
	uint64_t from, to; /* found are those of [from, to) */
	struct page_ranges found;
	size_t next;       /* of found: those before it end before what was asked for last */
	uint64_t limit;    /* what lies behind will not be asked for; 0: anything may */
};

/* As pagemap_private().  The walk is zeroed before, and its list freed afterwards. */
int pagemap_walk(struct page_walk *w, int pagemap, uint64_t start, uint64_t end,
		 struct page_ranges *ret);

struct page_kinds {
	struct page_ranges guards; /* with guard markers (Linux 6.16) */
	struct page_ranges huge;   /* huge pages, whoever's */
};

/* Adds what is found in [start, end), over any mappings; nothing where the kernel cannot tell. */
int pagemap_kinds(int pagemap, uint64_t start, uint64_t end, struct page_kinds *ret);

/* Adds a range behind the last one; what touches that becomes part of it.  -ENOMEM. */
int pagemap_add(struct page_ranges *ret, uint64_t start, uint64_t end);

/*
 * Adds the ranges that were written to since pagemap_protect().  -EPERM: not all of it is watched
 * by a userfaultfd with asynchronous write protection.
 */
int pagemap_written(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);
/*
 * Adds those pages of pagemap_private() that were not, in one pass; anonymous: as in
 * pagemap_anonymous().  Nothing is added when it fails.
 */
int pagemap_clean(int pagemap, uint64_t start, uint64_t end, bool anonymous,
		  struct page_ranges *ret);
/* Adds what was written, and protects it again. */
int pagemap_take_written(int pagemap, uint64_t start, uint64_t end, struct page_ranges *ret);
int pagemap_protect(int pagemap, uint64_t start, uint64_t end);

/* Entries of /proc/PID/pagemap, one a page: 0 or -errno. */
int pagemap_read(int pagemap, uint64_t start, size_t pages, uint64_t *ret);
/* It is in memory, and is the process's own and not a file's. */
bool pagemap_is_own(uint64_t entry);
/* There is a page of any sort, in memory or swapped out. */
bool pagemap_is_there(uint64_t entry);
/* It is in memory, is the process's own and not a file's, and others have it too. */
bool pagemap_is_shared(uint64_t entry);
/* It was written to since /proc/PID/clear_refs was told 4, or its mapping is newer than that. */
bool pagemap_is_soft_dirty(uint64_t entry);
/* Which page of the machine it is; 0: the kernel does not tell (it takes CAP_SYS_ADMIN). */
uint64_t pagemap_frame(uint64_t entry);

/*
 * Memory and contents that are copied within the pause: when it is little to memory, from which it
 * goes straight into the image; else to a memfd, which is no anonymous memory of the tool's;
 * or to a file beside the image, which has no name.  All are gone with the tool.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vec.h"
#include "inject/pagemap.h"
#include "task/capture.h"

struct spool {
	int fd; /* -1: nothing was copied to it yet */
	uint64_t used;
	unsigned char *near; /* NULL: all goes to the file */
	size_t near_size, near_used;
};

#define SPOOL_NONE ((struct spool){.fd = -1})

/*
 * Much will be copied: where the image will be there must be room for it anyway.  -errno: there is no such file,
 * and it is a memfd, unless it was one already.
 */
int spool_open_beside(struct spool *s, const char *image);

/* A stretch of an address space that was copied. */
struct spooled {
	uint64_t start, end;
	uint64_t at; /* in the file, or in the memory */
	bool near;
};

struct spooled_list {
	VEC(struct spooled) list; /* by address */
};

/* Reads from a source; the page source of source.h, as far as a spool needs to know it. */
typedef int spool_read_fn(const void *source, uint64_t address, void *buf, size_t size);

/* So much is about to come: a little of it may stay in memory. */
void spool_expect(struct spool *s, uint64_t bytes);

/* Copies the ranges, which lie behind all that is in the list. */
int spool_add(struct spool *s, struct spooled_list *list, const struct page_ranges *ranges,
	      spool_read_fn *read, const void *source);

/* The first one that ends behind address. */
size_t spool_find(const struct spooled_list *list, uint64_t address);

/* All of the range was copied. */
int spool_read(const struct spool *s, const struct spooled_list *list, uint64_t address, void *buf,
	       size_t size);
/*
 * Where the range stands as a whole in memory, and behind all that comes before it; NULL: it does
 * not.  Whoever reads it there, and only once, may write there too.
 */
unsigned char *spool_near(const struct spool *s, const struct spooled_list *list,
			  uint64_t start, uint64_t end);
/* Adds what was copied of the range. */
int spool_ranges(const struct spooled_list *list, uint64_t start, uint64_t end,
		 struct page_ranges *ret);

/*
 * Copies the contents of files, when they are small: from then on they are what they were.
 * False: they are not small, or there is no memory.
 */
bool spool_contents(struct spool *s, struct capture *c);

void spool_close(struct spool *s);

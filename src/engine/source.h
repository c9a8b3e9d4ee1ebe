/* Where the pages of an address space are read from: the stopped target, its clone, a spool. */
#pragma once

#include "engine/spool.h"
#include "inject/twin.h"
#include "records.pb-c.h"
#include "task/task.h"

struct page_source {
	pid_t pid; /* 0: a spool */
	int mem, pagemap;
	bool frozen; /* a clone: every page of it was shared with the target */
	const struct spool *spool;
	const struct spooled_list *spooled;
};

#define PAGE_SOURCE_NONE ((struct page_source){.mem = -1, .pagemap = -1})

/* Descriptors are duplicated or opened; source_close() also of PAGE_SOURCE_NONE. */
int source_of_task(struct page_source *ret, const struct task *task, struct error **err);
int source_of_twin(struct page_source *ret, const struct twin *twin, struct error **err);
void source_of_spool(struct page_source *ret, const struct spool *spool,
		     const struct spooled_list *list);
void source_close(struct page_source *s);

/* Adds the ranges of an area, or of a part, that hold memory of the process's own. */
int source_ranges(const struct page_source *s, struct page_walk *walk, const Rec__Area *a,
		  struct page_range part, struct page_ranges *ret);
/* The same, of a process's whole area, without a walk. */
int area_pages(int pagemap, const Rec__Area *a, struct page_ranges *ret);
int area_part_pages(int pagemap, const Rec__Area *a, struct page_range part,
		    struct page_ranges *ret);
/* Those of them that were not written since they were protected by a userfaultfd. */
int area_clean_pages(int pagemap, const Rec__Area *a, struct page_ranges *ret);

/* The bytes of the range, where they are in memory already and may be changed; else NULL. */
unsigned char *source_near(const struct page_source *s, struct page_range range);

/* Reads pages whatever their protection, and leaves them shared with whom they are: 0 or -errno. */
int source_read(const void *source, uint64_t address, void *buf, size_t size);
/* The same of a process, and of pages that are known to be shared or few: with one call. */
int source_peek(const struct page_source *s, uint64_t address, void *buf, size_t size);

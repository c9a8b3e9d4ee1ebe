/* Sets of addresses: ranges in order that do not touch the same byte twice.  Pure. */
#pragma once

#include "inject/pagemap.h"
#include "records.pb-c.h"

/* Adds to *ret what is in both, or in a and not in b: 0 or -ENOMEM. */
int ranges_both(const struct page_ranges *a, const struct page_ranges *b, struct page_ranges *ret);
int ranges_without(const struct page_ranges *a, const struct page_ranges *b,
		   struct page_ranges *ret);

/* How many bytes. */
uint64_t ranges_size(const struct page_ranges *r);
void ranges_free(struct page_ranges *r);
#define cleanup_ranges __attribute__((cleanup(ranges_free)))

/* As they stand in a record.  Each is a whole range; -ENOMEM leaves what can be freed. */
int ranges_to_record(const struct page_ranges *from, size_t *ret_count, Rec__Range ***ret);
int ranges_of_record(size_t count, Rec__Range *const *from, struct page_ranges *ret);

/* Whole pages, in order, none empty, none overlapping another. */
bool ranges_in_order(size_t count, Rec__Range *const *ranges);

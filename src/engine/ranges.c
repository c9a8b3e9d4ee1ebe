#include "engine/ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"

int ranges_both(const struct page_ranges *a, const struct page_ranges *b, struct page_ranges *ret)
{
	for (size_t i = 0, k = 0; i < a->list.count && k < b->list.count;) {
		const struct page_range *x = &a->list.items[i], *y = &b->list.items[k];
		uint64_t start = x->start > y->start ? x->start : y->start;
		uint64_t end = x->end < y->end ? x->end : y->end;

		if (start < end && pagemap_add(ret, start, end) < 0)
			return -ENOMEM;
		i += x->end <= end;
		k += y->end <= end;
	}
	return 0;
}

int ranges_without(const struct page_ranges *a, const struct page_ranges *b,
		   struct page_ranges *ret)
{
	size_t k = 0;

	vec_each(x, &a->list) {
		uint64_t at = x->start;

		while (k < b->list.count && b->list.items[k].end <= at)
			k++;
		for (size_t j = k; at < x->end; j++) {
			const struct page_range *y = j < b->list.count ? &b->list.items[j] : NULL;
			uint64_t end = y && y->start < x->end ? y->start : x->end;

			if (at < end && pagemap_add(ret, at, end) < 0)
				return -ENOMEM;
			at = y && y->start < x->end ? y->end : x->end;
		}
	}
	return 0;
}

uint64_t ranges_size(const struct page_ranges *r)
{
	uint64_t size = 0;

	vec_each(it, &r->list)
		size += it->end - it->start;
	return size;
}

void ranges_free(struct page_ranges *r)
{
	vec_free(&r->list);
}

int ranges_to_record(const struct page_ranges *from, size_t *ret_count, Rec__Range ***ret)
{
	*ret = calloc(from->list.count + 1, sizeof **ret);
	if (!*ret)
		return -ENOMEM;
	vec_each(it, &from->list) {
		Rec__Range *r = malloc(sizeof *r);

		if (!r)
			return -ENOMEM;
		rec__range__init(r);
		r->start = it->start;
		r->end = it->end;
		(*ret)[(*ret_count)++] = r;
	}
	return 0;
}

int ranges_of_record(size_t count, Rec__Range *const *from, struct page_ranges *ret)
{
	for (size_t i = 0; i < count; i++)
		if (pagemap_add(ret, from[i]->start, from[i]->end) < 0)
			return -ENOMEM;
	return 0;
}

bool ranges_in_order(size_t count, Rec__Range *const *ranges)
{
	uint64_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (ranges[i]->start < at || ranges[i]->end <= ranges[i]->start ||
		    (ranges[i]->start | ranges[i]->end) & (ARCH_PAGE_SIZE - 1))
			return false;
		at = ranges[i]->end;
	}
	return true;
}

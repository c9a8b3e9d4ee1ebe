/*
 * What a process keeps of the memory of the one that it was forked from, so that both go on
 * sharing the pages that neither has written to since.
 */
#pragma once

#include "base/error.h"
#include "base/vec.h"
#include "records.pb-c.h"

/* A part of an area that stays as the fork made it; pages outside of the ranges are dropped. */
struct kept {
	uint64_t start, end;
	const Rec__Area *area;
	size_t first, last; /* its ranges: Memory.inherited[first] up to last, not included */
};

struct kept_list {
	VEC(struct kept) list; /* in order */
};

/* -EBADMSG: a range lies outside of what both have. -ENOMEM. */
int inherit_plan(const Rec__Memory *child, const Rec__Memory *parent, struct kept_list *ret,
		 struct error **err);
void kept_free(struct kept_list *l);
#define cleanup_kept __attribute__((cleanup(kept_free)))

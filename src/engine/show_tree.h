/* The processes of an image as a tree, for people. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "image/json.h"
#include "records.pb-c.h"

struct shown_task {
	uint32_t pid, ppid;
	char name[64];
	bool zombie;
	size_t order;                      /* in the image */
	size_t parent, child, last, next;  /* 1 + the place among the others, 0: none */
	unsigned int depth;
};

struct shown_tree {
	VEC(struct shown_task) list;
};

/* 0 or -ENOMEM. */
int shown_tree_add(struct shown_tree *t, const Rec__Task *m);
/* A line for each, children below their parents.  Any order and any numbers are borne. */
void shown_tree_print(struct shown_tree *t, struct text *text);
void shown_tree_free(struct shown_tree *t);

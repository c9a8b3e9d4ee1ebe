/* The shapes that a program to be checkpointed can have. */
#pragma once

#include <stddef.h>

/* The part of its memory that a program rewrites when it is told to. */
struct heap {
	char *start;
	size_t pages;
};

enum { PAGE = 4096 };

/* Makes COUNT of what SHAPE says; 0 when there is no such shape. */
int shape_make(const char *shape, size_t count, const char *file, struct heap *heap);

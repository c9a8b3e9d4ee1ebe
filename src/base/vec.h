/*
 * Growing arrays.  A vec owns its items' storage, not what they point to.
 *
 *	VEC(int) v = {0};
 *	int *slot = vec_push(&v);	(zeroed, NULL when out of memory)
 *	vec_free(&v);
 */
#pragma once

#include <stddef.h>

#define VEC(T)                \
	struct {              \
		T *items;     \
		size_t count; \
		size_t room;  \
	}

/* Returns the new, zeroed item, or NULL. */
void *vec_grow(void **items, size_t *count, size_t *room, size_t item_size);
void vec_release(void **items, size_t *count, size_t *room);

#define vec_push(v)                                                            \
	((__typeof__((v)->items))vec_grow((void **)&(v)->items, &(v)->count,   \
					  &(v)->room, sizeof *(v)->items))
#define vec_free(v) vec_release((void **)&(v)->items, &(v)->count, &(v)->room)
#define vec_each(it, v)                                                        \
	for (__typeof__((v)->items + 0) it = (v)->items;                       \
	     it && it < (v)->items + (v)->count; it++)

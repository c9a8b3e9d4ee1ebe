#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

void *vec_grow(void **items, size_t *count, size_t *room, size_t item_size)
{
	char *slot;

	if (*count == *room) {
		size_t more = *room ? *room * 2 : 16;
		void *grown = reallocarray(*items, more, item_size);

		if (!grown)
			return NULL;
		*items = grown;
		*room = more;
	}
	slot = (char *)*items + *count * item_size;
	memset(slot, 0, item_size);
	++*count;
	return slot;
}

void vec_release(void **items, size_t *count, size_t *room)
{
	free(*items);
	*items = NULL;
	*count = *room = 0;
}

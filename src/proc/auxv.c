#include "proc/auxv.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

int auxv_parse(const void *bytes, size_t len, struct auxv *ret)
{
	cleanup_auxv struct auxv auxv = {0};
	struct auxv_entry entry;

	for (size_t at = 0; len - at >= sizeof entry; at += sizeof entry) {
		struct auxv_entry *slot;

		memcpy(&entry, (const char *)bytes + at, sizeof entry);
		if (entry.type == AT_NULL) {
			*ret = auxv;
			auxv = (struct auxv){0};
			return 0;
		}
		slot = vec_push(&auxv.list);
		if (!slot)
			return -ENOMEM;
		*slot = entry;
	}
	return -EINVAL;
}

bool auxv_find(const struct auxv *auxv, uint64_t type, uint64_t *ret)
{
	for (size_t i = 0; i < auxv->list.count; i++) {
		if (auxv->list.items[i].type == type) {
			*ret = auxv->list.items[i].value;
			return true;
		}
	}
	return false;
}

void auxv_free(struct auxv *auxv)
{
	vec_free(&auxv->list);
}

/*
 * /proc/PID/auxv: pairs of words, ended by AT_NULL.  64-bit processes only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct auxv_entry {
	uint64_t type, value;
};

struct auxv {
	VEC(struct auxv_entry) list; /* without the AT_NULL at the end */
};

int auxv_parse(const void *bytes, size_t len, struct auxv *ret);

/* False, and *ret as it was, when there is no such entry. */
bool auxv_find(const struct auxv *auxv, uint64_t type, uint64_t *ret);

void auxv_free(struct auxv *auxv);
#define cleanup_auxv __attribute__((cleanup(auxv_free)))

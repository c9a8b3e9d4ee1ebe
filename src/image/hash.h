/* XXH3 of much data: with the widest registers that the processor has (hash-avx2.c). */
#pragma once

#include <stddef.h>
#include <xxhash.h>

/* As XXH3_64bits_update(). */
void image_hash_update(XXH3_state_t *state, const void *bytes, size_t len);

/* Only where the processor can. */
void image_hash_update_avx2(XXH3_state_t *state, const void *bytes, size_t len);

/*
 * Distributions build the library for every x86-64: SSE2.  Its header has the code for all, and
 * with AVX2 it is three times as fast, 56 GB/s against 19: a tenth of a restore's time becomes a
 * thirtieth.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#define XXH_VECTOR 2 /* XXH_AVX2 */
#define XXH_INLINE_ALL
#include "image/hash.h"

void image_hash_update_avx2(XXH3_state_t *state, const void *bytes, size_t len)
{
	XXH3_64bits_update(state, bytes, len);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
#include "image/hash.h"

void image_hash_update_avx2(XXH3_state_t *state, const void *bytes, size_t len)
{
	XXH3_64bits_update(state, bytes, len);
}
#endif

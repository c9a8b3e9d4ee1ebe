#include "image/hash.h"

#include <stdbool.h>

#if defined(__x86_64__)
/* The state is the library's, and its layout that of the header only in the same version. */
static bool can_avx2(void)
{
	return __builtin_cpu_supports("avx2") && XXH_versionNumber() == XXH_VERSION_NUMBER;
}
#else
static bool can_avx2(void)
{
	return false;
}
#endif

void image_hash_update(XXH3_state_t *state, const void *bytes, size_t len)
{
	if (can_avx2())
		image_hash_update_avx2(state, bytes, len);
	else
		XXH3_64bits_update(state, bytes, len);
}

/* EXPECT-REFUSAL: protection key */
/*
 * Shows: memory with a protection key is refused, and key, PKRU and what they
 * forbid stay as they were.
 */
#include "faults.h"
#include "maps.h"

#define SIZE (4 * PAGE)

static int free_keys(void)
{
	int keys[16], count = 0;

	while (count < 16 && (keys[count] = pkey_alloc(0, 0)) >= 0)
		count++;
	for (int i = 0; i < count; i++)
		CHECK(pkey_free(keys[i]) == 0);
	return count;
}

int main(void)
{
	char *memory = map_alone(SIZE, PROT_READ | PROT_WRITE);
	int spare = pkey_alloc(0, 0), key = pkey_alloc(0, 0);

	if (spare < 0 || key < 0)
		SKIP("this machine has no protection keys");
	/* The number that is left is not the lowest. */
	CHECK(pkey_free(spare) == 0);
	pattern_fill(memory, SIZE, 1);
	CHECK(pkey_mprotect(memory, SIZE, PROT_READ | PROT_WRITE, key) == 0);
	CHECK(pkey_set(key, PKEY_DISABLE_ACCESS) == 0);
	struct map_info before = map_at(memory);
	int available = free_keys();

	test_ready();

	CHECK_MAP_SAME(before);
	CHECK_EQ(pkey_get(key), PKEY_DISABLE_ACCESS);
	CHECK(faults_on_read(memory));
	CHECK(pkey_set(key, PKEY_DISABLE_WRITE) == 0);
	CHECK(pattern_is(memory, SIZE, 1));
	CHECK(faults_on_write(memory));
	CHECK_EQ(free_keys(), available);
	CHECK(pkey_free(key) == 0);
	test_passed();
}

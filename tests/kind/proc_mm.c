/* Where code, data, heap, stack, arguments and environment begin and end, for the kernel. */
#include "procfs.h"

#define FIELDS 52

/* The fields of /proc/self/stat from the third on: [3] is the state, as proc(5) counts. */
static void stat_fields(unsigned long long field[FIELDS + 1])
{
	char *text = procfs_read("/proc/self/stat", NULL), *p = strrchr(text, ')') + 3;

	memset(field, 0, (FIELDS + 1) * sizeof(*field));
	for (int i = 4; i <= FIELDS && *p; i++)
		field[i] = strtoull(p + 1, &p, 10);
	free(text);
}

int main(void)
{
	/* startcode, endcode, startstack, start_data to start_brk, arg_start to env_end */
	static const int kept[] = {26, 27, 28, 45, 46, 47, 48, 49, 50, 51};
	unsigned long long before[FIELDS + 1], after[FIELDS + 1];
	char *brk;

	stat_fields(before);
	CHECK(sbrk(100000) != (void *)-1);
	brk = sbrk(0);
	memset(brk - 100000, 7, 100000);
	CHECK(before[26] && before[28] && before[47] && before[48]);

	test_ready();

	CHECK(sbrk(0) == brk);
	CHECK(brk[-100000] == 7 && brk[-1] == 7);
	CHECK(sbrk(100000) == brk);
	memset(brk, 7, 100000);
	stat_fields(after);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		CHECK_EQ(after[kept[i]], before[kept[i]]);
	test_passed();
}

/*
 * Shows: private anonymous memory keeps its content under every protection,
 * readable or not, also where one mapping was split by mprotect.
 */
#include "maps.h"

static const int protections[] = {
	PROT_READ | PROT_WRITE,
	PROT_READ,
	PROT_WRITE,
	PROT_EXEC,
	PROT_READ | PROT_EXEC,
	PROT_WRITE | PROT_EXEC,
	PROT_NONE,
	PROT_READ | PROT_WRITE | PROT_EXEC,
};

enum {
	PARTS = sizeof protections / sizeof *protections,
	PART = 5 * PAGE,
};

int main(void)
{
	struct map_info before[PARTS];
	char *split = map_alone(PARTS * PART, PROT_READ | PROT_WRITE);
	char *apart[PARTS];

	pattern_fill(split, PARTS * PART, 1);
	for (int i = 0; i < PARTS; i++) {
		apart[i] = map_alone(PART, PROT_READ | PROT_WRITE);
		pattern_fill(apart[i] + PAGE, PART - PAGE, 100 + i);
		CHECK(mprotect(apart[i], PART, protections[i]) == 0);
		CHECK(mprotect(split + i * PART, PART, protections[i]) == 0);
	}
	for (int i = 0; i < PARTS; i++)
		before[i] = map_at(split + i * PART);
	struct map_info before_apart[PARTS];

	for (int i = 0; i < PARTS; i++)
		before_apart[i] = map_at(apart[i]);

	test_ready();

	for (int i = 0; i < PARTS; i++) {
		CHECK_MAP_SAME(before[i]);
		CHECK_MAP_SAME(before_apart[i]);
	}
	for (int i = 0; i < PARTS; i++) {
		CHECK(mprotect(apart[i], PART, PROT_READ | PROT_WRITE) == 0);
		CHECK(all_zero(apart[i], PAGE));
		CHECK(pattern_is(apart[i] + PAGE, PART - PAGE, 100 + i));
	}
	CHECK(mprotect(split, PARTS * PART, PROT_READ | PROT_WRITE) == 0);
	CHECK(pattern_is(split, PARTS * PART, 1));
	test_passed();
}

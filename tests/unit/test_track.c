/* Sets of pages, what an incremental image may say of its parent, and when to stop copying beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Before cmocka.h, which has a macro fail(). */
#include "engine/chain.h"
#include "engine/precopy.h"
#include "engine/ranges.h"

#include <cmocka.h>

#define P UINT64_C(4096)

static struct page_ranges set(size_t count, const uint64_t (*pages)[2])
{
	struct page_ranges r = {0};

	for (size_t i = 0; i < count; i++)
		assert_int_equal(pagemap_add(&r, pages[i][0] * P, pages[i][1] * P), 0);
	return r;
}

static bool has(const struct page_ranges *r, uint64_t page)
{
	vec_each(it, &r->list)
		if (it->start <= page * P && page * P < it->end)
			return true;
	return false;
}

/* Against a set of bits, page by page, for all pairs of small sets. */
static void test_algebra(void **state)
{
	(void)state;
	for (unsigned int x = 0; x < 256; x++)
		for (unsigned int y = 0; y < 256; y++) {
			struct page_ranges a = {0}, b = {0}, both = {0}, without = {0};

			for (unsigned int i = 0; i < 8; i++) {
				if (x >> i & 1)
					pagemap_add(&a, i * P, (i + 1) * P);
				if (y >> i & 1)
					pagemap_add(&b, i * P, (i + 1) * P);
			}
			assert_int_equal(ranges_both(&a, &b, &both), 0);
			assert_int_equal(ranges_without(&a, &b, &without), 0);
			for (unsigned int i = 0; i < 8; i++) {
				assert_int_equal(has(&both, i), (x & y) >> i & 1);
				assert_int_equal(has(&without, i), (x & ~y) >> i & 1);
			}
			assert_int_equal(ranges_size(&both), P * (uint64_t)__builtin_popcount(x & y));
			ranges_free(&a);
			ranges_free(&b);
			ranges_free(&both);
			ranges_free(&without);
		}
}

static Rec__Memory *memory(size_t count, const uint64_t (*unchanged)[2])
{
	static const uint64_t areas[][2] = {{10, 20}, {20, 30}, {40, 50}};
	struct page_ranges r = set(count, unchanged);
	Rec__Memory *m = calloc(1, sizeof *m);

	rec__memory__init(m);
	m->areas = calloc(4, sizeof *m->areas);
	for (; m->n_areas < 3; m->n_areas++) {
		Rec__Area *a = m->areas[m->n_areas] = calloc(1, sizeof *a);

		rec__area__init(a);
		a->start = areas[m->n_areas][0] * P;
		a->end = areas[m->n_areas][1] * P;
		a->flags = m->n_areas == 2 ? MAP_SHARED : MAP_PRIVATE;
	}
	assert_int_equal(ranges_to_record(&r, &m->n_unchanged, &m->unchanged), 0);
	ranges_free(&r);
	return m;
}

static bool valid(size_t count, const uint64_t (*unchanged)[2], bool has_parent)
{
	Rec__Memory *m = memory(count, unchanged);
	int r = unchanged_valid(m, has_parent, NULL);

	rec__memory__free_unpacked(m, NULL);
	return r == 0;
}

static void test_unchanged(void **state)
{
	(void)state;
	assert_true(valid(0, NULL, false));
	assert_true(valid(1, (uint64_t[][2]){{12, 14}}, true));
	assert_true(valid(2, (uint64_t[][2]){{12, 14}, {18, 22}}, true));
	assert_false(valid(1, (uint64_t[][2]){{12, 14}}, false)); /* no parent */
	assert_false(valid(1, (uint64_t[][2]){{9, 14}}, true));	  /* before all areas */
	assert_false(valid(1, (uint64_t[][2]){{25, 31}}, true));  /* into a hole */
	assert_false(valid(1, (uint64_t[][2]){{41, 42}}, true));  /* shared */
	assert_false(valid(2, (uint64_t[][2]){{14, 16}, {12, 15}}, true));
	assert_false(valid(1, (uint64_t[][2]){{16, 14}}, true));
	assert_false(valid(2, (uint64_t[][2]){{12, 16}, {15, 18}}, true));
}

/* Not what is of the parent process as well. */
static void test_unchanged_and_inherited(void **state)
{
	Rec__Memory *m = memory(1, (uint64_t[][2]){{12, 16}});
	struct page_ranges r = set(1, (uint64_t[][2]){{15, 17}});

	(void)state;
	assert_int_equal(unchanged_valid(m, true, NULL), 0);
	assert_int_equal(ranges_to_record(&r, &m->n_inherited, &m->inherited), 0);
	assert_true(unchanged_valid(m, true, NULL) < 0);
	ranges_free(&r);
	rec__memory__free_unpacked(m, NULL);
}

static void test_parent(void **state)
{
	Rec__Parent p = REC__PARENT__INIT;

	(void)state;
	p.path = (char *)"a";
	assert_true(parent_valid(&p, NULL) < 0); /* depth 0 is a whole image */
	p.depth = 1;
	assert_int_equal(parent_valid(&p, NULL), 0);
	p.depth = CHAIN_MAX + 1;
	assert_true(parent_valid(&p, NULL) < 0);
	p.depth = 1;
	p.path = (char *)"";
	assert_true(parent_valid(&p, NULL) < 0);
}

static void test_rounds(void **state)
{
	const uint64_t mib = 1 << 20;
	unsigned int rounds = 0;

	(void)state;
	assert_true(precopy_goes_on(0, 1024 * mib, 0));
	assert_true(precopy_goes_on(1, 50 * mib, 1024 * mib));
	assert_false(precopy_goes_on(2, mib, 50 * mib));       /* little is left */
	assert_false(precopy_goes_on(2, 49 * mib, 50 * mib));  /* it does not shrink */
	assert_false(precopy_goes_on(0, 0, 0));
	for (uint64_t left = UINT64_C(1) << 60; precopy_goes_on(rounds, left, left * 2); rounds++)
		;
	assert_true(rounds < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_unchanged),
		cmocka_unit_test(test_unchanged_and_inherited),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

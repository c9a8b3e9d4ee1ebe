/* How memory is frozen: what forbids a clone, and which way has the shorter pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/freeze.h"

#include <cmocka.h>

#define MIB 256u /* pages */

static enum freeze choose(bool may_clone, uint64_t spaces, uint64_t pages, uint64_t unfreezable)
{
	return choose_freeze(&(struct freeze_facts){.goes_on = true,
						    .may_clone = may_clone,
						    .spaces = spaces,
						    .pages = pages,
						    .unfreezable = unfreezable});
}

static void test_who_ends_is_held(void **state)
{
	struct freeze_facts f = {.may_clone = true, .spaces = 1, .pages = 10};

	(void)state;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD);
	f.pages = 1024 * MIB;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD);
}

static void test_small_is_copied(void **state)
{
	(void)state;
	assert_int_equal(choose(true, 1, 10, 0), FREEZE_COPY);
	assert_int_equal(choose(true, 1, MIB, 0), FREEZE_COPY);
	assert_int_equal(choose(true, 20, 10 * MIB, 0), FREEZE_COPY);
}

static void test_large_is_cloned(void **state)
{
	struct freeze_facts huge = {
		.goes_on = true, .may_clone = true, .spaces = 1, .huge_pages = 512};

	(void)state;
	assert_int_equal(choose(true, 1, 16 * MIB, 0), FREEZE_CLONE);
	assert_int_equal(choose(true, 1, 1024 * MIB, 0), FREEZE_CLONE);
	assert_int_equal(choose(true, 50, 50 * 200 * MIB, 0), FREEZE_CLONE);
	assert_int_equal(choose_freeze(&huge), FREEZE_CLONE);
	/* A single huge page is more to copy than to share. */
	huge.huge_pages = 2;
	assert_int_equal(choose_freeze(&huge), FREEZE_CLONE);
}

static void test_without_a_clone(void **state)
{
	(void)state;
	assert_int_equal(choose(false, 1, 16 * MIB, 0), FREEZE_COPY);
	assert_int_equal(choose(false, 1, 1024 * MIB, 0), FREEZE_HOLD);
	/* What no clone has needs room of ours. */
	assert_int_equal(choose(true, 1, 1024 * MIB, 32 * MIB), FREEZE_CLONE);
	assert_int_equal(choose(true, 1, 1024 * MIB, 65 * MIB), FREEZE_HOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_ends_is_held),
		cmocka_unit_test(test_small_is_copied),
		cmocka_unit_test(test_large_is_cloned),
		cmocka_unit_test(test_without_a_clone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

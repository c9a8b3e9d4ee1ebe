/* How memory is frozen: what forbids a clone, and which way has the shorter pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/freeze.h"

#include <cmocka.h>

#define MIB 256u /* pages */

static enum freeze choose(bool may_clone, uint64_t room, uint64_t pages, uint64_t unfreezable)
{
	return choose_freeze(&(struct freeze_facts){.goes_on = true,
						    .may_clone = may_clone,
						    .room = room,
						    .spare = UINT64_MAX,
						    .pages = pages,
						    .unfreezable = unfreezable});
}

static void test_who_ends_is_held(void **state)
{
	struct freeze_facts f = {.may_clone = true, .room = FREEZE_ROOM_FILE, .spare = UINT64_MAX, .pages = 10};

	(void)state;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD);
	f.pages = 1024 * MIB;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD);
}

static void test_small_is_copied(void **state)
{
	(void)state;
	assert_int_equal(choose(true, FREEZE_ROOM_MEMORY, 10, 0), FREEZE_COPY);
	assert_int_equal(choose(true, FREEZE_ROOM_MEMORY, MIB, 0), FREEZE_COPY);
	/* As long as there is room. */
	assert_int_equal(choose(true, MIB, MIB, 0), FREEZE_COPY);
	assert_int_equal(choose(true, MIB - 1, MIB, 0), FREEZE_CLONE);
}

static void test_large_is_cloned(void **state)
{
	struct freeze_facts huge = {
		.goes_on = true, .may_clone = true, .room = FREEZE_ROOM_FILE, .spare = UINT64_MAX,
		.huge_pages = 512};

	(void)state;
	assert_int_equal(choose(true, FREEZE_ROOM_FILE, 16 * MIB, 0), FREEZE_CLONE);
	assert_int_equal(choose(true, FREEZE_ROOM_FILE, 1024 * MIB, 0), FREEZE_CLONE);
	assert_int_equal(choose_freeze(&huge), FREEZE_CLONE);
	/* A single huge page is more to copy than to share. */
	huge.huge_pages = 2;
	assert_int_equal(choose_freeze(&huge), FREEZE_CLONE);
}

/* What it writes to meanwhile is memory that somebody would have to be ended for. */
static void test_no_clone_without_memory_for_it(void **state)
{
	struct freeze_facts f = {.goes_on = true, .may_clone = true, .room = FREEZE_ROOM_FILE,
				 .spare = 1025 * MIB, .pages = 1024 * MIB};

	(void)state;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD); /* its page tables */
	f.spare = 1026 * MIB;
	assert_int_equal(choose_freeze(&f), FREEZE_CLONE);
	f.huge_pages = 1;
	assert_int_equal(choose_freeze(&f), FREEZE_HOLD);
	f.huge_pages = 0;
	f.pages = 400 * MIB;
	f.spare = 300 * MIB;
	assert_int_equal(choose_freeze(&f), FREEZE_COPY);
}

static void test_what_is_known_to_be_clean(void **state)
{
	struct freeze_facts f = {.goes_on = true, .may_clone = true, .room = FREEZE_ROOM_MEMORY,
				 .spare = UINT64_MAX,
				 .pages = 1024 * MIB, .clean = 1023 * MIB};

	(void)state;
	assert_int_equal(choose_freeze(&f), FREEZE_COPY);
	f.clean = 0;
	assert_int_equal(choose_freeze(&f), FREEZE_CLONE);
	/* What is counted later than it was seen may be more. */
	f.clean = 2048 * MIB;
	assert_int_equal(freeze_copies(&f, FREEZE_COPY), 0);
}

static void test_without_a_clone(void **state)
{
	const uint64_t room = FREEZE_ROOM_MEMORY;

	(void)state;
	assert_int_equal(choose(false, room, 16 * MIB, 0), FREEZE_COPY);
	assert_int_equal(choose(false, room, 1024 * MIB, 0), FREEZE_HOLD);
	/* What no clone has needs room of ours. */
	assert_int_equal(choose(true, room, 1024 * MIB, 32 * MIB), FREEZE_CLONE);
	assert_int_equal(choose(true, room, 1024 * MIB, 65 * MIB), FREEZE_HOLD);
}

static void test_what_takes_room(void **state)
{
	const struct freeze_facts f = {
		.pages = 100, .huge_pages = 2, .clean = 24, .unfreezable = 7};

	(void)state;
	assert_int_equal(freeze_copies(&f, FREEZE_COPY), 1100);
	assert_int_equal(freeze_copies(&f, FREEZE_CLONE), 7);
	assert_int_equal(freeze_copies(&f, FREEZE_HOLD), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_ends_is_held),
		cmocka_unit_test(test_small_is_copied),
		cmocka_unit_test(test_large_is_cloned),
		cmocka_unit_test(test_no_clone_without_memory_for_it),
		cmocka_unit_test(test_what_is_known_to_be_clean),
		cmocka_unit_test(test_without_a_clone),
		cmocka_unit_test(test_what_takes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What was known of mappings before a program was stopped: when it is believed, and when no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include "engine/early.h"

#include <cmocka.h>

#define HEAP "10000-30000 rw-p 00000000 00:00 0 \n"
#define CODE "50000-60000 r-xp 00001000 08:01 77 /bin/x\n"
#define SHARED "70000-80000 rw-s 00000000 08:01 7 /f\n"
#define DETAILS(flags)                                                                      \
	"KernelPageSize:        4 kB\nRss:                   8 kB\nAnonymous:             8 kB\n" \
	"VmFlags: rd wr mr mw me " flags "\n"

static void parse(const char *text, struct vm_areas *ret)
{
	memset(ret, 0, sizeof *ret);
	assert_int_equal(maps_parse(text, strlen(text), ret), 0);
}

static bool apply(const char *before, const char *now, struct vm_areas *ret)
{
	struct early_list l = {0};
	struct early_maps *m = vec_push(&l.list);
	bool known;

	m->pid = 42;
	parse(before, &m->areas);
	parse(now, ret);
	known = early_apply(&l, 42, ret);
	assert_false(early_apply(&l, 43, ret));
	early_free(&l);
	return known;
}

static void test_the_same_mappings(void **state)
{
	struct vm_areas now;

	(void)state;
	assert_true(apply(HEAP DETAILS("ac dd") CODE DETAILS(""), HEAP CODE, &now));
	assert_int_equal(now.list.count, 2);
	assert_true(now.list.items[0].detailed);
	assert_true(now.list.items[0].flags & VM_FLAG(DONTDUMP));
	assert_int_equal(now.list.items[0].anonymous, 8192);
	assert_string_equal(now.list.items[1].path, "/bin/x");
	maps_free(&now);
}

static void test_others(void **state)
{
	static const char *const now[] = {
		HEAP CODE "70000-80000 rw-p 00000000 00:00 0 \n",
		"10000-31000 rw-p 00000000 00:00 0 \n" CODE,
		"10000-30000 r--p 00000000 00:00 0 \n" CODE,
		HEAP "50000-60000 r-xp 00001000 08:01 78 /bin/x\n",
		HEAP "50000-60000 r-xp 00001000 08:01 77 /bin/x (deleted)\n",
		HEAP "50000-60000 r-xp 00002000 08:01 77 /bin/x\n",
	};
	struct vm_areas areas;

	(void)state;
	for (size_t i = 0; i < sizeof now / sizeof *now; i++) {
		assert_false(apply(HEAP DETAILS("") CODE DETAILS(""), now[i], &areas));
		maps_free(&areas);
	}
	/* What has gone meanwhile is no obstacle. */
	assert_true(apply(HEAP DETAILS("") CODE DETAILS(""), CODE, &areas));
	maps_free(&areas);
}

static bool confirm(const char *believed, const char *clone)
{
	struct vm_areas a, b;
	bool right;

	parse(believed, &a);
	parse(clone, &b);
	right = early_confirm(&a, &b);
	maps_free(&a);
	maps_free(&b);
	return right;
}

static bool confirm_running(const char *believed, const char *now, bool cloned)
{
	struct vm_areas a, b;
	bool right;

	parse(believed, &a);
	parse(now, &b);
	right = early_confirm_running(&a, &b, cloned);
	maps_free(&a);
	maps_free(&b);
	return right;
}

static void test_the_program_confirms(void **state)
{
	(void)state;
	assert_true(confirm_running(HEAP DETAILS("ac"), HEAP DETAILS("sd"), false));
	assert_false(confirm_running(HEAP DETAILS(""), HEAP DETAILS("dd"), false));
	assert_false(confirm_running(SHARED DETAILS(""), SHARED DETAILS("dd"), false));
	/* Of what a clone has it is not asked: only of the others. */
	assert_true(confirm_running(HEAP DETAILS(""), HEAP DETAILS("dd"), true));
	assert_false(confirm_running(SHARED DETAILS(""), SHARED DETAILS("dd"), true));
	assert_false(confirm_running(HEAP DETAILS("dc"), HEAP DETAILS(""), true));
	/* It goes on: some are larger, some have gone, in the place of some are others. */
	assert_true(confirm_running(HEAP DETAILS(""), "10000-40000 rw-p 00000000 00:00 0 \n" DETAILS(""),
				    false));
	assert_true(confirm_running(HEAP DETAILS("") SHARED DETAILS(""), SHARED DETAILS(""), false));
	assert_true(confirm_running(HEAP DETAILS(""),
				    "10000-30000 rw-p 00001000 08:01 77 /bin/x\n" DETAILS("dd"), false));
}

static void test_a_clone_confirms(void **state)
{
	(void)state;
	assert_true(confirm(HEAP DETAILS("ac dd"), HEAP DETAILS("dd sd")));
	/* The region of the injection is nobody's concern. */
	assert_true(confirm(HEAP DETAILS(""), HEAP DETAILS("") CODE DETAILS("")));
	assert_true(confirm(HEAP DETAILS("dc") CODE DETAILS(""), CODE DETAILS("")));
	assert_false(confirm(HEAP DETAILS("") CODE DETAILS(""), CODE DETAILS("")));
	assert_false(confirm(HEAP DETAILS(""), HEAP DETAILS("wf")));
	assert_false(confirm(HEAP DETAILS("hg"), HEAP DETAILS("nh")));
	/* Shared ones it has given up. */
	assert_true(confirm(HEAP DETAILS("") SHARED DETAILS(""), HEAP DETAILS("")));
	assert_false(confirm(HEAP DETAILS(""), "10000-20000 rw-p 00000000 00:00 0 \n" DETAILS("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_mappings),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_a_clone_confirms),
		cmocka_unit_test(test_the_program_confirms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

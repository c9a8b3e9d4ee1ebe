/* What an image asks for and gives nothing for: huge pages and guards over nothing. */
#include "image_try.h"

#include "engine/afford.h"
#include "kind/kind.h"

#define GIB (UINT64_C(1) << 30)

static Rec__Range *range(uint64_t start, uint64_t size)
{
	Rec__Range *r = calloc(1, sizeof *r);

	rec__range__init(r);
	r->start = start;
	r->end = start + size;
	return r;
}

/* A process with one area, of which so many bytes are huge and so many are guards. */
static void add_task(struct rebuild *r, uint64_t huge, uint64_t guards)
{
	struct rebuilt_task *t = calloc(1, sizeof *t), **slot = vec_push(&r->tasks);
	Rec__Area *a = calloc(1, sizeof *a);

	*t = (struct rebuilt_task){.proc = -1, .mem = -1};
	t->record = calloc(1, sizeof *t->record);
	rec__task__init(t->record);
	t->memory = calloc(1, sizeof *t->memory);
	rec__memory__init(t->memory);
	rec__area__init(a);
	a->huge = calloc(2, sizeof(void *));
	a->huge[a->n_huge++] = range(0x1000, huge / 2);
	a->huge[a->n_huge++] = range(0x1000 + huge / 2, huge - huge / 2);
	a->guards = calloc(1, sizeof(void *));
	a->guards[a->n_guards++] = range(0x1000, guards);
	t->memory->areas = calloc(1, sizeof(void *));
	t->memory->areas[t->memory->n_areas++] = a;
	*slot = t;
}

static const struct restore_options options;

static void test_huge(void **state)
{
	cleanup_rebuild struct rebuild r = {.options = &options, REBUILD_INIT};

	(void)state;
	add_task(&r, 4 * GIB, 4096);
	add_task(&r, 4 * GIB + 4096, 4096);
	assert_int_equal(afford_memory(&r, 4 * GIB, NULL), 0);
	assert_int_equal(r.tasks.items[0]->memory->areas[0]->n_huge, 2);
	assert_int_equal(r.tasks.items[1]->memory->areas[0]->n_huge, 0);
}

static void test_guards(void **state)
{
	cleanup_rebuild struct rebuild r = {.options = &options, REBUILD_INIT};
	cleanup_error struct error *err = NULL;

	(void)state;
	add_task(&r, 4096, 512 * GIB);
	assert_int_equal(afford_memory(&r, GIB, &err), 0);
	assert_null(err);
	add_task(&r, 4096, 512 * GIB + 4096);
	assert_int_equal(afford_memory(&r, GIB, &err), -ENOMEM);
	assert_non_null(strstr(error_why(err, 0), "guard pages"));
}

static void test_machine(void **state)
{
	(void)state;
	assert_true(machine_memory() > 64 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_guards),
		cmocka_unit_test(test_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The plan of a restore: carried out on paper, it leads to what the image says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* Before cmocka.h, which has a macro fail(). */
#include "engine/family.h"
#include "engine/plan.h"

#include <cmocka.h>

#define OUTSIDE 1000u /* session and group of whoever restores */

struct person {
	uint32_t pid, ppid, sid, pgid;
	bool zombie;
	uint32_t shares; /* memory and signal handlers of that one */
};

static void add(struct rebuild *r, const struct person *p)
{
	struct rebuilt_task *t = calloc(1, sizeof *t), **slot = vec_push(&r->tasks);

	t->record = calloc(1, sizeof *t->record);
	rec__task__init(t->record);
	t->record->pid = p->pid;
	t->record->ppid = p->ppid;
	t->record->sid = p->sid;
	t->record->pgid = p->pgid;
	t->record->zombie = p->zombie;
	t->record->executable = p->zombie ? 0 : 1;
	t->record->memory_of = t->record->signals_of = p->shares;
	t->record->exit_signal = 17;
	t->proc = t->mem = -1;
	*slot = t;
}

static void make(struct rebuild *r, const struct person *people, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(r, &people[i]);
	assert_int_equal(family_link(r, NULL), 0);
}

/* What the kernel would keep of a process, while the steps are carried out. */
struct simulated {
	const struct rebuilt_task *task, *parent;
	uint32_t sid, pgid;
	bool ended;
};

static struct simulated *lookup(struct simulated *all, size_t count, const struct rebuilt_task *t)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].task == t)
			return &all[i];
	fail_msg("a step of process %u, which is not there", t->record->pid);
	return NULL;
}

static struct simulated born(struct simulated *all, size_t count, const struct plan_step *s)
{
	const struct simulated *maker;

	if (!s->other)
		return (struct simulated){s->task, NULL, OUTSIDE, OUTSIDE, false};
	maker = lookup(all, count, s->other);
	assert_false(maker->ended);
	return (struct simulated){s->task,
				  s->flags & CLONE_PARENT ? maker->parent : maker->task,
				  maker->sid, maker->pgid, false};
}

/* The rules of setsid(2), setpgid(2) and wait(2). */
static size_t simulate(const struct plan *p, struct simulated *all)
{
	size_t count = 0;

	vec_each(s, &p->steps) {
		struct simulated *it, *leader;

		switch (s->what) {
		case PLAN_BIRTH:
			all[count] = born(all, count, s);
			count++;
			break;
		case PLAN_SESSION:
			it = lookup(all, count, s->task);
			assert_int_not_equal(it->pgid, s->task->record->pid);
			it->sid = it->pgid = s->task->record->pid;
			break;
		case PLAN_GROUP:
			it = lookup(all, count, s->task);
			leader = lookup(all, count, s->other);
			assert_int_not_equal(it->sid, s->task->record->pid);
			assert_int_equal(it->sid, leader->sid);
			if (it != leader)
				assert_int_equal(leader->pgid, s->other->record->pid);
			it->pgid = s->other->record->pid;
			break;
		case PLAN_END:
			it = lookup(all, count, s->task);
			assert_ptr_equal(it->parent, s->other);
			it->ended = true;
			break;
		}
	}
	return count;
}

/* host: the number that stands in the image for the session and group outside. */
static void check(const struct person *people, size_t count, uint32_t host, size_t stand_ins)
{
	cleanup_rebuild struct rebuild r = {REBUILD_INIT};
	struct plan plan = {0};
	struct simulated all[64];
	size_t n;

	make(&r, people, count);
	assert_int_equal(plan_tree(&r, false, &plan, NULL), 0);
	n = simulate(&plan, all);
	assert_int_equal(r.stand_ins.count, stand_ins);
	assert_int_equal(n, count + stand_ins);
	for (size_t i = 0; i < count; i++) {
		const struct simulated *s = lookup(all, n, r.tasks.items[i]);

		assert_ptr_equal(s->parent, r.tasks.items[i]->parent);
		assert_int_equal(s->sid == OUTSIDE ? host : s->sid, people[i].sid);
		assert_int_equal(s->pgid == OUTSIDE ? host : s->pgid, people[i].pgid);
		assert_int_equal(s->ended, people[i].zombie);
	}
	vec_each(t, &r.stand_ins)
		assert_true(lookup(all, n, *t)->ended);
	plan_free(&plan);
}

#define CHECK_PLAN(host, stand_ins, ...)                                               \
	do {                                                                           \
		const struct person people[] = {__VA_ARGS__};                          \
		check(people, sizeof people / sizeof *people, host, stand_ins);        \
	} while (0)

static void test_one(void **state)
{
	(void)state;
	CHECK_PLAN(0, 0, {10, 0, 10, 10, false, 0});
	CHECK_PLAN(7, 0, {10, 0, 7, 7, false, 0});
	CHECK_PLAN(7, 0, {10, 0, 7, 10, false, 0});
}

static void test_groups(void **state)
{
	(void)state;
	/* A shell, its pipelines; one has lost its leader. */
	CHECK_PLAN(0, 1, {10, 0, 10, 10, false, 0}, {11, 10, 10, 11, false, 0},
		   {12, 10, 10, 11, false, 0}, {14, 10, 10, 13, false, 0},
		   {15, 10, 10, 13, false, 0});
	/* The leader is a zombie: it lives until others have joined it. */
	CHECK_PLAN(0, 0, {10, 0, 10, 10, false, 0}, {11, 10, 10, 11, true, 0},
		   {12, 10, 10, 11, false, 0});
	/* A member comes before its leader. */
	CHECK_PLAN(5, 0, {10, 0, 5, 5, false, 0}, {11, 10, 5, 12, false, 0},
		   {12, 10, 5, 12, false, 0});
}

static void test_sessions(void **state)
{
	(void)state;
	/* One leads a session; so does its child, which had a child before that. */
	CHECK_PLAN(5, 0, {10, 0, 5, 5, false, 0}, {11, 10, 11, 11, false, 0},
		   {12, 11, 12, 12, false, 0}, {13, 12, 11, 11, false, 0},
		   {14, 12, 12, 12, false, 0});
	/* The root led one when it had a child already: that one is outside. */
	CHECK_PLAN(5, 0, {10, 0, 10, 10, false, 0}, {11, 10, 10, 10, false, 0});
	/* A daemon whose leader has ended, and a second one of the same session. */
	CHECK_PLAN(5, 1, {10, 0, 5, 5, false, 0}, {12, 10, 11, 11, false, 0},
		   {13, 10, 11, 11, false, 0}, {14, 12, 11, 14, false, 0});
}

static void test_sharing(void **state)
{
	(void)state;
	/* With the parent, and with a sibling. */
	CHECK_PLAN(5, 0, {10, 0, 5, 5, false, 0}, {11, 10, 5, 5, false, 10},
		   {12, 10, 5, 5, false, 0}, {13, 10, 5, 5, false, 12});
}

static void test_impossible(void **state)
{
	/* Two processes of one lost session with different parents that are not in it. */
	static const struct person people[] = {
		{10, 0, 5, 5, false, 0},  {11, 10, 11, 11, false, 0}, {12, 10, 12, 12, false, 0},
		{13, 11, 99, 99, false, 0}, {14, 12, 99, 99, false, 0},
	};
	cleanup_rebuild struct rebuild r = {REBUILD_INIT};
	struct plan plan = {0};
	struct error *err = NULL;

	(void)state;
	make(&r, people, 5);
	assert_int_equal(plan_tree(&r, false, &plan, &err), -ENOTSUP);
	error_free(err);
	plan_free(&plan);
}

static void refused(const struct person *people, size_t count)
{
	cleanup_rebuild struct rebuild r = {REBUILD_INIT};
	struct error *err = NULL;

	for (size_t i = 0; i < count; i++)
		add(&r, &people[i]);
	assert_int_equal(family_link(&r, &err), -EBADMSG);
	error_free(err);
}

static void test_family(void **state)
{
	static const struct person orphan[] = {{10, 0, 5, 5, false, 0}, {11, 9, 5, 5, false, 0}};
	static const struct person later[] = {
		{10, 0, 5, 5, false, 0}, {11, 12, 5, 5, false, 0}, {12, 10, 5, 5, false, 0}};
	static const struct person dead[] = {
		{10, 0, 5, 5, false, 0}, {11, 10, 5, 5, true, 0}, {12, 11, 5, 5, false, 0}};
	static const struct person twice[] = {{10, 0, 5, 5, false, 0}, {10, 10, 5, 5, false, 0}};
	static const struct person chain[] = {
		{10, 0, 5, 5, false, 0}, {11, 10, 5, 5, false, 10}, {12, 10, 5, 5, false, 11}};

	(void)state;
	refused(orphan, 2);
	refused(later, 3);
	refused(dead, 3);
	refused(twice, 2);
	refused(chain, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),     cmocka_unit_test(test_groups),
		cmocka_unit_test(test_sessions), cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_impossible), cmocka_unit_test(test_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

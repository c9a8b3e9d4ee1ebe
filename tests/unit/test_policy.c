/*
 * What the kernel should say (priv/policy.c), rule by rule and without a kernel; how it is held
 * against what was found; and the names of cells.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/audit.h"
#include "priv/caps.h"
#include "priv/policy.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BIT(cap) (UINT64_C(1) << (cap))
#define USER 1000u
#define OTHER 2000u

/* One user, in the initial namespace, and a process of his; each test changes what it is about. */
struct world {
	struct policy_ns initial, own;
	struct policy_facts facts;
	struct policy_caller caller;
	struct policy_victim victim;
};

static void make_world(struct world *w, uint64_t caps)
{
	memset(w, 0, sizeof *w);
	w->facts.initial = w->facts.pid_owner = &w->initial;
	w->facts.uffd_device.mode = 0600;
	w->caller = (struct policy_caller){USER, USER, caps, &w->initial};
	w->victim = (struct policy_victim){
		.uid = {USER, USER, USER},
		.gid = {USER, USER, USER},
		.dumpable = true,
		.ns = &w->initial,
		.mm_ns = &w->initial,
		.folder = {USER, USER, 0},
		.file = {USER, USER, 0600},
	};
}

/* The caller becomes root of a namespace of its own. */
static void enter_own(struct world *w)
{
	w->own = (struct policy_ns){&w->initial, USER, true, USER, USER};
	w->caller.ns = &w->own;
	w->caller.caps = UINT64_MAX;
}

static int ask(const struct world *w, enum policy policy, enum access access)
{
	return policy_ask(policy, access, &w->caller, access < ACCESS_ON_SELF ? &w->victim : NULL,
			  &w->facts)
		.result;
}

static int now(const struct world *w, enum access access)
{
	return ask(w, POLICY_SINCE_5_9, access);
}

static enum policy_why why(const struct world *w, enum access access)
{
	return policy_since_5_9(access, &w->caller, access < ACCESS_ON_SELF ? &w->victim : NULL,
				&w->facts)
		.why;
}

/* ---- What the three differ in ---------------------------------------------------------- */

static void assert_follows(uint64_t caps, int before, int since, int attach)
{
	static const enum access follow[] = {ACCESS_MAP_STAT, ACCESS_MAP_READ, ACCESS_MAP_WRITE,
					     ACCESS_MAP_TRUNCATE};
	struct world w;

	make_world(&w, caps);
	for (size_t i = 0; i < sizeof follow / sizeof *follow; i++) {
		assert_int_equal(ask(&w, POLICY_BEFORE_5_9, follow[i]), before);
		assert_int_equal(ask(&w, POLICY_SINCE_5_9, follow[i]), since);
		assert_int_equal(ask(&w, POLICY_PTRACE_ATTACH, follow[i]), attach);
	}
}

static void test_following_map_files(void **state)
{
	(void)state;
	assert_follows(0, -EPERM, -EPERM, 0);
	assert_follows(BIT(CAP_CHECKPOINT_RESTORE), -EPERM, 0, 0);
	assert_follows(BIT(CAP_SYS_ADMIN), 0, 0, 0);
	assert_follows(BIT(CAP_SYS_PTRACE), -EPERM, -EPERM, 0);
}

static void test_following_asks_for_ptrace_too(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, BIT(CAP_SYS_ADMIN));
	w.victim.permitted = BIT(CAP_CHOWN);
	for (enum policy p = 0; p < POLICIES; p++)
		assert_int_equal(ask(&w, p, ACCESS_MAP_READ), -EACCES);
	/* Yama restricts attaching: it is in the way of the proposal alone. */
	w.victim.permitted = 0;
	w.facts.yama = 1;
	assert_int_equal(ask(&w, POLICY_SINCE_5_9, ACCESS_MAP_READ), 0);
	assert_int_equal(ask(&w, POLICY_PTRACE_ATTACH, ACCESS_MAP_READ), -EPERM);
}

static void test_the_file_behind_counts(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, BIT(CAP_CHECKPOINT_RESTORE));
	w.victim.file = (struct policy_file){OTHER, OTHER, 0644};
	assert_int_equal(now(&w, ACCESS_MAP_STAT), 0);
	assert_int_equal(now(&w, ACCESS_MAP_READ), 0);
	assert_int_equal(now(&w, ACCESS_MAP_WRITE), -EACCES);
	assert_int_equal(now(&w, ACCESS_MAP_TRUNCATE), -EACCES);
	/* A dma-buf is never opened, by nobody. */
	assert_int_equal(now(&w, ACCESS_MAP_DMABUF), -ENXIO);
	assert_int_equal(why(&w, ACCESS_MAP_DMABUF), WHY_NO_FILE);
	w.caller.caps = 0;
	assert_int_equal(now(&w, ACCESS_MAP_DMABUF), -EPERM);
}

static void assert_on_oneself(uint64_t caps, enum access access, int before, int since)
{
	struct world w;

	make_world(&w, caps);
	assert_int_equal(ask(&w, POLICY_BEFORE_5_9, access), before);
	assert_int_equal(ask(&w, POLICY_SINCE_5_9, access), since);
	assert_int_equal(ask(&w, POLICY_PTRACE_ATTACH, access), since);
}

static void test_numbers_and_executables(void **state)
{
	(void)state;
	assert_on_oneself(0, ACCESS_SET_TID, -EPERM, -EPERM);
	assert_on_oneself(BIT(CAP_CHECKPOINT_RESTORE), ACCESS_SET_TID, -EPERM, 0);
	assert_on_oneself(BIT(CAP_SYS_ADMIN), ACCESS_SET_TID, 0, 0);
	assert_on_oneself(BIT(CAP_CHECKPOINT_RESTORE), ACCESS_LAST_PID, -EPERM, 0);
	assert_on_oneself(0, ACCESS_LAST_PID, -EPERM, -EPERM);
	assert_on_oneself(0, ACCESS_MM_MAP, 0, 0);
	/* The refusal changed its name with the rule. */
	assert_on_oneself(0, ACCESS_MM_EXE, -EINVAL, -EPERM);
	assert_on_oneself(BIT(CAP_CHECKPOINT_RESTORE), ACCESS_MM_EXE, -EINVAL, 0);
}

static void test_own_namespaces(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, 0);
	assert_int_equal(now(&w, ACCESS_SET_TID_OWN), 0);
	assert_int_equal(now(&w, ACCESS_LAST_PID_OWN), 0);
	w.facts.own_namespaces = -EPERM;
	assert_int_equal(now(&w, ACCESS_SET_TID_OWN), -EPERM);
	assert_int_equal(why(&w, ACCESS_SET_TID_OWN), WHY_NAMESPACES);
	w.caller.caps = BIT(CAP_SYS_ADMIN);
	assert_int_equal(now(&w, ACCESS_SET_TID_OWN), 0);
	w.facts.no_namespaces = true;
	assert_int_equal(now(&w, ACCESS_SET_TID_OWN), -ENOSPC);
	/* Its root is somebody for its own executable, and nobody for what the initial one owns. */
	make_world(&w, 0);
	enter_own(&w);
	assert_int_equal(now(&w, ACCESS_MM_EXE), 0);
	assert_int_equal(now(&w, ACCESS_SET_TID), -EPERM);
	assert_int_equal(now(&w, ACCESS_UFFD_FULL), -EPERM);
	w.facts.pid_owner = &w.own;
	assert_int_equal(now(&w, ACCESS_SET_TID), 0);
}

/* ---- What they have in common ---------------------------------------------------------- */

static void test_ptrace_ids(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, 0);
	assert_int_equal(now(&w, ACCESS_PTRACE), 0);
	assert_int_equal(why(&w, ACCESS_PTRACE), WHY_OWNER);
	for (int i = 0; i < 3; i++) {
		make_world(&w, 0);
		w.victim.uid[i] = OTHER;
		assert_int_equal(now(&w, ACCESS_PTRACE), -EPERM);
		assert_int_equal(why(&w, ACCESS_PTRACE), WHY_IDS);
		make_world(&w, 0);
		w.victim.gid[i] = OTHER;
		assert_int_equal(now(&w, ACCESS_VM_READV), -EPERM);
	}
	make_world(&w, BIT(CAP_SYS_PTRACE));
	w.victim.uid[1] = OTHER;
	assert_int_equal(now(&w, ACCESS_PTRACE), 0);
	assert_int_equal(why(&w, ACCESS_PTRACE), WHY_SYS_PTRACE);
}

static void test_ptrace_dumpable_and_capabilities(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, 0);
	w.victim.dumpable = false;
	assert_int_equal(now(&w, ACCESS_GETFD), -EPERM);
	assert_int_equal(why(&w, ACCESS_GETFD), WHY_NOT_DUMPABLE);
	make_world(&w, BIT(CAP_CHECKPOINT_RESTORE));
	w.victim.permitted = BIT(CAP_CHECKPOINT_RESTORE);
	assert_int_equal(now(&w, ACCESS_KCMP), 0);
	w.victim.permitted |= BIT(CAP_CHOWN);
	assert_int_equal(now(&w, ACCESS_KCMP), -EPERM);
	assert_int_equal(why(&w, ACCESS_KCMP), WHY_MORE_CAPS);
	w.caller.caps = BIT(CAP_SYS_PTRACE);
	assert_int_equal(now(&w, ACCESS_KCMP), 0);
}

static void test_ptrace_namespaces(void **state)
{
	struct world w;

	(void)state;
	/* From within a namespace nobody outside can be traced, not even one's own process. */
	make_world(&w, 0);
	enter_own(&w);
	assert_int_equal(now(&w, ACCESS_PTRACE), -EPERM);
	/* The maker of a namespace may trace whom he likes in there. */
	make_world(&w, 0);
	w.own = (struct policy_ns){&w.initial, USER, true, USER, USER};
	w.victim.ns = &w.own;
	w.victim.permitted = UINT64_MAX;
	assert_int_equal(now(&w, ACCESS_PTRACE), 0);
	w.own.owner = OTHER;
	assert_int_equal(now(&w, ACCESS_PTRACE), -EPERM);
}

static void test_capable(void **state)
{
	struct policy_ns initial = {0}, one = {&initial, USER, true, USER, USER};
	struct policy_ns two = {&one, OTHER, true, OTHER, OTHER};
	struct policy_caller c = {USER, USER, BIT(CAP_CHOWN), &initial};

	(void)state;
	assert_true(policy_capable(&c, &initial, CAP_CHOWN));
	assert_false(policy_capable(&c, &initial, CAP_SYS_ADMIN));
	assert_true(policy_capable(&c, &one, CAP_SYS_ADMIN)); /* made it */
	assert_true(policy_capable(&c, &two, CAP_SYS_ADMIN)); /* and so all below it */
	c.uid = OTHER;
	assert_false(policy_capable(&c, &one, CAP_SYS_ADMIN));
	c.ns = &one;
	c.caps = UINT64_MAX;
	assert_false(policy_capable(&c, &initial, CAP_SYS_ADMIN));
}

static void test_yama(void **state)
{
	struct world w;

	(void)state;
	for (int scope = 0; scope <= 3; scope++) {
		make_world(&w, 0);
		w.facts.yama = scope;
		assert_int_equal(now(&w, ACCESS_PTRACE), scope ? -EPERM : 0);
		assert_int_equal(now(&w, ACCESS_MEM), scope ? -EACCES : 0);
		/* Reading is not its affair. */
		assert_int_equal(now(&w, ACCESS_MAPS), 0);
		assert_int_equal(now(&w, ACCESS_FD_OPEN), 0);
		assert_int_equal(now(&w, ACCESS_KCMP), 0);
		w.caller.caps = BIT(CAP_SYS_PTRACE);
		assert_int_equal(now(&w, ACCESS_PTRACE), scope == 3 ? -EPERM : 0);
	}
	assert_int_equal(why(&w, ACCESS_PTRACE), WHY_YAMA);
}

static void test_hidepid(void **state)
{
	static const int expected[] = {0, -EPERM, -ENOENT, 0, -EPERM};
	struct world w;

	(void)state;
	for (int level = 1; level <= 4; level++) {
		if (level == 3)
			continue;
		make_world(&w, 0);
		w.facts.hidepid = level;
		assert_int_equal(now(&w, ACCESS_MAPS), 0);
		w.victim.uid[0] = OTHER;
		assert_int_equal(now(&w, ACCESS_MAPS), expected[level]);
		assert_int_equal(now(&w, ACCESS_MAP_READ), expected[level]);
		/* The system calls ask by number. */
		assert_int_equal(now(&w, ACCESS_VM_READV), -EPERM);
		w.facts.hidepid_gid = USER;
		assert_int_equal(now(&w, ACCESS_MAPS), level == 4 ? -EPERM : -EACCES);
	}
}

/* The folders of /proc/PID belong to the process: CAP_SYS_PTRACE alone does not open them. */
static void test_modes_in_proc(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, BIT(CAP_SYS_PTRACE));
	for (int i = 0; i < 3; i++)
		w.victim.uid[i] = OTHER;
	assert_int_equal(now(&w, ACCESS_MAPS), 0);
	assert_int_equal(now(&w, ACCESS_MEM), -EACCES);
	assert_int_equal(now(&w, ACCESS_FD_READDIR), -EACCES);
	assert_int_equal(why(&w, ACCESS_FD_READDIR), WHY_MODE);
	w.caller.caps |= BIT(CAP_DAC_READ_SEARCH);
	assert_int_equal(now(&w, ACCESS_MEM), 0);
	assert_int_equal(now(&w, ACCESS_FD_READDIR), 0);
	/* What is not dumpable belongs to root. */
	make_world(&w, 0);
	w.victim.dumpable = false;
	assert_int_equal(now(&w, ACCESS_FD_READDIR), -EACCES);
	/* The list of descriptors asks for no more than the mode. */
	make_world(&w, 0);
	w.victim.permitted = BIT(CAP_CHOWN);
	assert_int_equal(now(&w, ACCESS_FD_READDIR), 0);
	assert_int_equal(now(&w, ACCESS_FD_READLINK), -EACCES);
}

static void test_reopening(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, 0);
	assert_int_equal(now(&w, ACCESS_FILE_BY_PATH), -EACCES);
	assert_int_equal(now(&w, ACCESS_REOPEN_FILE), 0);
	assert_int_equal(now(&w, ACCESS_REOPEN_MEMFD), 0);
	assert_int_equal(now(&w, ACCESS_REOPEN_READONLY), 0);
	assert_int_equal(now(&w, ACCESS_REOPEN_SEALED), -EPERM);
	assert_int_equal(why(&w, ACCESS_REOPEN_SEALED), WHY_SEALED);
	w.victim.file = (struct policy_file){0, 0, 0644};
	assert_int_equal(now(&w, ACCESS_FD_OPEN), 0);
	assert_int_equal(now(&w, ACCESS_REOPEN_FILE), -EACCES);
	/* Root of a namespace passes the folders of those who mean somebody in it. */
	make_world(&w, 0);
	enter_own(&w);
	assert_int_equal(now(&w, ACCESS_FILE_BY_PATH), 0);
	w.victim.folder.uid = OTHER;
	assert_int_equal(now(&w, ACCESS_FILE_BY_PATH), -EACCES);
}

static void test_observers(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, BIT(CAP_SYS_ADMIN));
	w.victim.permitted = BIT(CAP_CHOWN);
	assert_int_equal(now(&w, ACCESS_MAPS), -EACCES);
	w.facts.perfmon_reads = true;
	assert_int_equal(now(&w, ACCESS_MAPS), 0);
	assert_int_equal(why(&w, ACCESS_MAPS), WHY_PERFMON);
	assert_int_equal(now(&w, ACCESS_PAGEMAP_PFN), 0);
	assert_int_equal(now(&w, ACCESS_MEM), -EACCES);
	assert_int_equal(now(&w, ACCESS_MAP_READDIR), -EACCES);
	w.facts.list_by_mm = true;
	assert_int_equal(now(&w, ACCESS_MAP_READDIR), 0);
	make_world(&w, 0);
	assert_int_equal(now(&w, ACCESS_PAGEMAP), 0);
	assert_int_equal(now(&w, ACCESS_PAGEMAP_PFN), RESULT_HIDDEN);
}

static void test_userfaultfd(void **state)
{
	struct world w;

	(void)state;
	make_world(&w, 0);
	assert_int_equal(now(&w, ACCESS_UFFD_USER), 0);
	assert_int_equal(now(&w, ACCESS_UFFD_FULL), -EPERM);
	assert_int_equal(now(&w, ACCESS_UFFD_DEVICE), -EACCES);
	w.facts.free_userfaultfd = true;
	w.facts.uffd_device.mode = 0666;
	assert_int_equal(now(&w, ACCESS_UFFD_FULL), 0);
	assert_int_equal(now(&w, ACCESS_UFFD_DEVICE), 0);
	make_world(&w, BIT(CAP_SYS_PTRACE));
	assert_int_equal(now(&w, ACCESS_UFFD_FULL), 0);
}

static void test_seals_hold_for_everybody(void **state)
{
	static const struct {
		enum access access;
		int result;
	} expected[] = {
		{ACCESS_SHARED_TRUNCATE, 0},      {ACCESS_SHARED_READ, RESULT_SIGBUS},
		{ACCESS_SHRINK_TRUNCATE, -EPERM}, {ACCESS_SHRINK_READ, 0},
		{ACCESS_FUTURE_WRITE, -EPERM},    {ACCESS_FUTURE_MAP, -EPERM},
		{ACCESS_FUTURE_REOPEN, -EPERM},   {ACCESS_FUTURE_OLD_MAP, 0},
		{ACCESS_EXEC_CHMOD, -EPERM},      {ACCESS_EXEC_WRITE, -EPERM},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		for (enum policy p = 0; p < POLICIES; p++) {
			make_world(&w, 0);
			assert_int_equal(ask(&w, p, expected[i].access), expected[i].result);
			w.caller.caps = UINT64_MAX;
			assert_int_equal(ask(&w, p, expected[i].access), expected[i].result);
		}
	w.facts.memfd_noexec = 2;
	assert_int_equal(now(&w, ACCESS_EXEC_WRITE), -EACCES);
}

static void test_which_policy(void **state)
{
	(void)state;
	assert_int_equal(policy_of_kernel(5, 8, false), POLICY_BEFORE_5_9);
	assert_int_equal(policy_of_kernel(4, 19, false), POLICY_BEFORE_5_9);
	assert_int_equal(policy_of_kernel(4, 18, true), POLICY_SINCE_5_9);
	assert_int_equal(policy_of_kernel(5, 9, true), POLICY_SINCE_5_9);
	assert_int_equal(policy_of_kernel(6, 1, true), POLICY_SINCE_5_9);
}

/* ---- The comparison -------------------------------------------------------------------- */

static void test_compare(void **state)
{
	(void)state;
	assert_int_equal(policy_compare(0, 0), VERDICT_AGREES);
	assert_int_equal(policy_compare(-EPERM, -EPERM), VERDICT_AGREES);
	assert_int_equal(policy_compare(RESULT_SIGBUS, RESULT_SIGBUS), VERDICT_AGREES);
	assert_int_equal(policy_compare(0, -EPERM), VERDICT_LOOSER);
	assert_int_equal(policy_compare(0, RESULT_HIDDEN), VERDICT_LOOSER);
	assert_int_equal(policy_compare(RESULT_HIDDEN, -EACCES), VERDICT_LOOSER);
	assert_int_equal(policy_compare(-EPERM, 0), VERDICT_STRICTER);
	assert_int_equal(policy_compare(RESULT_HIDDEN, 0), VERDICT_STRICTER);
	assert_int_equal(policy_compare(-EPERM, RESULT_HIDDEN), VERDICT_STRICTER);
	assert_int_equal(policy_compare(-EPERM, -EACCES), VERDICT_DIFFERENT);
	assert_int_equal(policy_compare(0, RESULT_SIGBUS), VERDICT_DIFFERENT);
	assert_int_equal(policy_compare(RESULT_SIGBUS, 0), VERDICT_DIFFERENT);
	assert_int_equal(policy_compare(RESULT_BROKEN, 0), VERDICT_DIFFERENT);
	assert_int_equal(policy_compare(RESULT_BROKEN, -EPERM), VERDICT_DIFFERENT);
	assert_int_equal(policy_compare(RESULT_ABSENT, 0), VERDICT_UNKNOWN);
}

static void put(struct audit_matrix *m, enum access access, enum audit_caller_kind caller,
		int kernel, int policy)
{
	struct audit_cell *cell = &m->cells[access][VICTIM_SAME][caller];

	cell->tried = true;
	cell->kernel = kernel;
	cell->answer[POLICY_SINCE_5_9].result = policy;
}

/* A kernel that is made up, and differs: one cell of each kind, and one that was not tried. */
static void test_judge(void **state)
{
	struct audit_matrix *m = calloc(1, sizeof *m);

	(void)state;
	assert_non_null(m);
	put(m, ACCESS_MAPS, CALLER_NONE, 0, 0);
	audit_judge(m, POLICY_SINCE_5_9);
	assert_int_equal(m->counts.tried, 1);
	assert_int_equal(m->counts.by[VERDICT_AGREES], 1);
	put(m, ACCESS_MAP_READ, CALLER_NONE, 0, -EPERM);
	put(m, ACCESS_MAP_READ, CALLER_CAP, -EPERM, 0);
	put(m, ACCESS_MAP_STAT, CALLER_CAP, -EACCES, -EPERM);
	put(m, ACCESS_MAP_DMABUF, CALLER_CAP, RESULT_ABSENT, -ENXIO);
	audit_judge(m, POLICY_SINCE_5_9);
	assert_int_equal(m->counts.tried, 5);
	for (enum verdict v = 0; v < VERDICTS; v++)
		assert_int_equal(m->counts.by[v], 1);
	free(m);
}

/* ---- The kernel that is there ---------------------------------------------------------- */

/* Held against a policy that is not its own, the running kernel must be found to differ. */
static void test_a_wrong_policy_is_noticed(void **state)
{
	struct audit_scene *s = calloc(1, sizeof *s);
	struct audit_matrix *m = calloc(1, sizeof *m);
	const struct audit_which which = {ACCESS_MAP_READ, VICTIM_SAME, CALLER_NONE};
	const struct audit_cell *cell;

	(void)state;
	assert_true(s && m);
	assert_int_equal(audit_scene_begin(s, NULL), 0);
	audit_run(s, m, &which);
	audit_scene_end(s);
	cell = &m->cells[which.access][which.victim][which.caller];
	if (!cell->tried || !s->has_map_files || s->facts.yama) {
		free(s);
		free(m);
		skip();
	}
	audit_judge(m, s->policy);
	assert_int_equal(m->counts.by[VERDICT_AGREES], 1);
	assert_int_equal(cell->kernel, -EPERM);
	audit_judge(m, POLICY_PTRACE_ATTACH);
	assert_int_equal(m->counts.by[VERDICT_STRICTER], 1);
	assert_int_equal(cell->verdict, VERDICT_STRICTER);
	free(s);
	free(m);
}

/* ---- Names ----------------------------------------------------------------------------- */

static void test_names_of_cells(void **state)
{
	struct audit_which w = {ACCESS_MAP_READ, VICTIM_OTHER, CALLER_CAP}, got;
	char name[80];

	(void)state;
	audit_cell_name(name, sizeof name, &w);
	assert_string_equal(name, "map_files.open-read@other/cap");
	assert_int_equal(audit_parse_cell(name, &got, NULL), 0);
	assert_memory_equal(&w, &got, sizeof w);
	assert_int_equal(audit_parse_cell("map_files.open-read/cap", &got, NULL), 0);
	assert_int_equal(got.victim, VICTIM_SAME);
	assert_int_equal(audit_parse_cell("mm_map.exe_fd/userns", &got, NULL), 0);
	assert_int_equal(got.victim, AUDIT_SELF);
	assert_int_equal(audit_parse_cell("mm_map@same/userns", &got, NULL), -EINVAL);
	assert_int_equal(audit_parse_cell("", &got, NULL), -EINVAL);
}

static void test_nearest_names(void **state)
{
	static const char *const wrong[] = {"", "/", "maps", "maps/", "maps@/cap", "MAPS/cap",
					    "maps@same/nobody", "clone3.settid/cap"};
	char huge[5000];
	struct error *err = NULL;
	struct audit_which got;

	(void)state;
	assert_int_equal(audit_parse_cell("map_files.opn-read/cap", &got, &err), -EINVAL);
	assert_int_equal(error_outcome(err), OUTCOME_USAGE);
	assert_non_null(strstr(error_mend(err, 0), "names are map_files.open-read/cap,"));
	error_free(err);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		err = NULL;
		assert_int_equal(audit_parse_cell(wrong[i], &got, &err), -EINVAL);
		assert_non_null(error_mend(err, 0));
		error_free(err);
	}
	memset(huge, 'x', sizeof huge - 1);
	huge[sizeof huge - 1] = 0;
	assert_int_equal(audit_parse_cell(huge, &got, NULL), -EINVAL);
}

static void test_table_is_complete(void **state)
{
	(void)state;
	for (enum access a = 0; a < ACCESSES; a++) {
		const struct audit_access *row = audit_access(a);

		assert_true(row->name && row->about && row->rule && row->source && row->try);
		assert_true(strlen(row->name) <= 22);
		assert_null(strpbrk(row->name, "/@ "));
		for (enum access b = 0; b < a; b++)
			assert_string_not_equal(row->name, audit_access(b)->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_following_map_files),
		cmocka_unit_test(test_following_asks_for_ptrace_too),
		cmocka_unit_test(test_the_file_behind_counts),
		cmocka_unit_test(test_numbers_and_executables),
		cmocka_unit_test(test_own_namespaces),
		cmocka_unit_test(test_ptrace_ids),
		cmocka_unit_test(test_ptrace_dumpable_and_capabilities),
		cmocka_unit_test(test_ptrace_namespaces),
		cmocka_unit_test(test_capable),
		cmocka_unit_test(test_yama),
		cmocka_unit_test(test_hidepid),
		cmocka_unit_test(test_modes_in_proc),
		cmocka_unit_test(test_reopening),
		cmocka_unit_test(test_observers),
		cmocka_unit_test(test_userfaultfd),
		cmocka_unit_test(test_seals_hold_for_everybody),
		cmocka_unit_test(test_which_policy),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_a_wrong_policy_is_noticed),
		cmocka_unit_test(test_names_of_cells),
		cmocka_unit_test(test_nearest_names),
		cmocka_unit_test(test_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

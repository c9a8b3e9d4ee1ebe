/*
 * Every row of the table of privileges, tried at every level: without a capability, as root of
 * an own user namespace, with exactly the capability that the row names, and as root.  A row
 * that works where it should not is as wrong as one that does not work where it should.
 */
#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "priv/caps.h"
#include "priv/priv.h"
#include "priv/userns.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SOMEBODY 61235
#define NOT_HERE 77

/* What a row does for an ordinary user, and for root of a user, pid and mount namespace of his own. */
enum expectation {
	GATED,      /* EPERM or EACCES */
	OPEN,
	OWN_SPACE,  /* open as root of the own namespaces, gated before */
	OF_MACHINE, /* a matter of the machine's settings: nobody knows beforehand */
};

static const struct {
	enum expectation plain;
	const char *more; /* capabilities that it takes beside the row's, or NULL */
} expected[PRIV_OPS] = {
	[PRIV_EXACT_PID] = {OWN_SPACE, NULL},
	[PRIV_LAST_PID] = {OWN_SPACE, NULL},
	[PRIV_USER_NAMESPACE] = {OF_MACHINE, NULL},
	[PRIV_PRIVATE_PROC] = {OF_MACHINE, NULL},
	[PRIV_IPC_IDS] = {GATED, NULL}, /* of the host's ipc namespace, which was not left */
	[PRIV_TIMER_IDS] = {OF_MACHINE, NULL}, /* of the kernel's version */
	[PRIV_TRACE] = {OF_MACHINE, NULL}, /* Yama */
	[PRIV_DESCRIPTORS] = {OF_MACHINE, NULL},
	[PRIV_KCMP] = {OPEN, NULL},
	[PRIV_OTHER_USERS] = {GATED, "cap_sys_ptrace+ep cap_setuid,cap_setgid+p"},
	[PRIV_NOT_DUMPABLE] = {GATED, "cap_sys_ptrace+ep"},
	[PRIV_MAP_FILES_OPEN] = {GATED, NULL},
	[PRIV_FILTERS_READ] = {GATED, "cap_sys_admin,cap_sys_ptrace+ep"},
	[PRIV_FILTERS_SUSPEND] = {GATED, "cap_sys_admin,cap_sys_ptrace+ep"},
	[PRIV_SET_MM_MAP] = {OPEN, NULL},
	[PRIV_EXE_LINK] = {OWN_SPACE, NULL},
	[PRIV_TCP_REPAIR] = {GATED, NULL},
	[PRIV_HANDLES] = {GATED, NULL},
	[PRIV_KERNEL_FAULTS] = {OF_MACHINE, NULL},
	[PRIV_TERMINAL_LOCKS] = {GATED, NULL},
	[PRIV_CHANGE_USER] = {GATED, NULL},
	[PRIV_CHANGE_GROUP] = {GATED, NULL},
	[PRIV_SECURE_BITS] = {OWN_SPACE, NULL},
	[PRIV_CHANGE_ROOT] = {OWN_SPACE, NULL},
	[PRIV_RAISE_LIMITS] = {GATED, NULL},
	[PRIV_LOWER_OOM_SCORE] = {GATED, NULL},
	[PRIV_LOWER_NICE] = {GATED, NULL},
	[PRIV_REAL_TIME] = {GATED, NULL},
	[PRIV_DEADLINE] = {GATED, NULL},
	[PRIV_IO_REAL_TIME] = {GATED, NULL},
};

static bool is_gate(int result)
{
	return result == -EPERM || result == -EACCES;
}

/* "exact pid: -1 (Operation not permitted), should be ..." */
static int wrong(enum priv_op op, int result, const char *should)
{
	fprintf(stderr, "%s: %d (%s), should be %s\n", priv_rule(op)->name, result,
		strerror(-result), should);
	return 1;
}

static int judge(enum priv_op op, bool open)
{
	struct priv priv = {0};
	int result = priv_ask(&priv, op);

	if (open)
		return result == 0 ? 0 : wrong(op, result, "permitted");
	return is_gate(result) ? 0 : wrong(op, result, "forbidden");
}

/* ---- Without a capability --------------------------------------------------------- */

static int job_plain(void)
{
	int bad = 0;

	for (enum priv_op op = 0; op < PRIV_OPS; op++)
		if (expected[op].plain != OF_MACHINE)
			bad |= judge(op, expected[op].plain == OPEN);
	return bad;
}

static int become_somebody(const char *caps_text)
{
	cap_t caps = cap_from_text(caps_text);
	int r = 0;

	prctl(PR_SET_KEEPCAPS, 1);
	if (!caps || setgroups(0, NULL) < 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
	    setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 || cap_set_proc(caps) < 0)
		r = -1;
	cap_free(caps);
	prctl(PR_SET_DUMPABLE, 1); /* as a program that was started by that user */
	return r;
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void run_as_somebody(const char *caps, int (*job)(void))
{
	pid_t pid;
	int status;

	if (geteuid() != 0 && (*caps || priv_has_permitted(CAP_CHECKPOINT_RESTORE)))
		skip(); /* only root can play others */
	pid = fork();
	if (pid == 0)
		_exit(geteuid() == 0 && become_somebody(caps) < 0 ? NOT_HERE : job());
	status = wait_for(pid);
	if (status == NOT_HERE)
		skip();
	assert_int_equal(status, 0);
}

static void test_without_a_capability(void **state)
{
	(void)state;
	run_as_somebody("", job_plain);
}

/* ---- Root of an own user, pid and mount namespace --------------------------------- */

static int in_own_namespaces(void)
{
	int bad = 0;

	/* The pid namespace's first process: its /proc must be its own. */
	if (priv_mount_private_proc(NULL) < 0)
		return NOT_HERE;
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		/* With all capabilities, but over a namespace in which there is nobody else. */
		if (op == PRIV_OTHER_USERS || op == PRIV_NOT_DUMPABLE ||
		    expected[op].plain == OF_MACHINE)
			continue;
		if (op == PRIV_CHANGE_USER || op == PRIV_CHANGE_GROUP) {
			/* EINVAL: no other id is known here. */
			if (priv_rule(op)->probe() == 0)
				bad |= wrong(op, 0, "impossible");
			continue;
		}
		bad |= judge(op, expected[op].plain != GATED);
	}
	return bad;
}

static int job_own_namespaces(void)
{
	int go[2], status;
	char c;
	pid_t pid;

	if (pipe(go) < 0)
		return 2;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0,
			     0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &c, 1) == 1 ? in_own_namespaces() : 2);
	}
	if (pid < 0)
		return NOT_HERE;
	if (priv_enter_userns_maps(pid, geteuid(), getegid(), NULL) < 0 || write(go[1], "", 1) != 1)
		return 2;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void test_in_own_namespaces(void **state)
{
	(void)state;
	run_as_somebody("", job_own_namespaces);
}

/* The kernel is at least so new. */
static bool is_linux(int major, int minor)
{
	struct utsname uts;
	int x = 0, y = 0;

	return uname(&uts) == 0 && sscanf(uts.release, "%d.%d", &x, &y) == 2 &&
	       (x > major || (x == major && y >= minor));
}

/* ---- With exactly one capability --------------------------------------------------- */

/* ptrace(2)'s are never raised for a call: who has them has them effective, as root has. */
static void try_with(enum priv_op op)
{
	char *name = cap_to_name(priv_rule(op)->capability);
	char caps[128];
	pid_t pid;
	int status;

	snprintf(caps, sizeof caps, "%s+p %s", name,
		 expected[op].more ? expected[op].more : "");
	cap_free(name);
	pid = fork();
	if (pid == 0)
		_exit(become_somebody(caps) < 0 ? NOT_HERE : judge(op, true));
	status = wait_for(pid);
	if (status == NOT_HERE)
		printf("not tried, as %s is out of reach: %s\n", caps, priv_rule(op)->name);
	else
		assert_int_equal(status, 0);
}

static void test_with_the_capability(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (enum priv_op op = 0; op < PRIV_OPS; op++)
		if (priv_rule(op)->capability != NO_CAPABILITY &&
		    (op != PRIV_TERMINAL_LOCKS || is_linux(6, 8)))
			try_with(op);
}

/* CAP_CHECKPOINT_RESTORE opens the rows of its level, and not one above. */
static int job_cap_level(void)
{
	int bad = 0;

	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		if (expected[op].plain == OF_MACHINE)
			continue;
		bad |= judge(op, priv_rule(op)->needs <= LEVEL_CAP &&
					 (op != PRIV_TERMINAL_LOCKS || is_linux(6, 8)));
	}
	return bad;
}

static void test_level_cap(void **state)
{
	(void)state;
	run_as_somebody("cap_checkpoint_restore=p", job_cap_level);
}

/* ---- Root ------------------------------------------------------------------------- */

static void test_level_root(void **state)
{
	(void)state;
	if (geteuid() != 0 || !priv_has_permitted(CAP_SYS_ADMIN))
		skip();
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		int cap = priv_rule(op)->capability;

		/* Root of a container lacks some. */
		if (expected[op].plain == OF_MACHINE || (cap >= 0 && !priv_has_permitted(cap)))
			continue;
		assert_int_equal(judge(op, true), 0);
	}
}

/* ---- The table itself -------------------------------------------------------------- */

static void test_rows_are_whole(void **state)
{
	(void)state;
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		const struct priv_rule *rule = priv_rule(op);

		assert_true(rule->name && rule->purpose && rule->rule && rule->since);
		assert_true(rule->source && rule->without && rule->probe);
		assert_true(rule->capability >= NO_CAPABILITY &&
			    rule->capability <= CAP_CHECKPOINT_RESTORE);
		/* What a capability level grants is granted by that capability. */
		assert_true((rule->needs == LEVEL_CAP) ==
			    (rule->capability == CAP_CHECKPOINT_RESTORE));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_without_a_capability),
		cmocka_unit_test(test_in_own_namespaces),
		cmocka_unit_test(test_with_the_capability),
		cmocka_unit_test(test_level_cap),
		cmocka_unit_test(test_level_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

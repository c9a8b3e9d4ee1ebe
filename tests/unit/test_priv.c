/*
 * Privileges, tried at every level that this run can take: a child becomes
 * somebody else, looks, and tells by its exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/calls.h"
#include "priv/caps.h"
#include "priv/priv.h"
#include "priv/userns.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SOMEBODY 61234
#define NOT_HERE 77

#define WANT(cond)                                                              \
	do {                                                                    \
		if (!(cond)) {                                                  \
			fprintf(stderr, "%s:%d: failed: %s (errno %d)\n",       \
				__FILE__, __LINE__, #cond, errno);              \
			return 1;                                               \
		}                                                               \
	} while (0)

/* An ordinary user with these permitted capabilities, in cap_from_text(3)'s words. */
static void become(const char *caps_text)
{
	cap_t caps = cap_from_text(caps_text);

	prctl(PR_SET_KEEPCAPS, 1);
	if (!caps || setgroups(0, NULL) < 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
	    setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 || cap_set_proc(caps) < 0)
		_exit(NOT_HERE);
	cap_free(caps);
	prctl(PR_SET_DUMPABLE, 1); /* as a program that was started by that user */
}

/* caps: NULL for whoever started the tests. */
static void run_as(const char *caps, int (*job)(void))
{
	pid_t pid;
	int status;

	if (caps && geteuid() != 0) {
		if (*caps)
			skip(); /* only root can play others; nobody is who we are already */
		caps = NULL;
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (caps)
			become(caps);
		_exit(job());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
		skip();
	assert_int_equal(status, 0);
}

static bool is_effective(int cap)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	cap_get_flag(caps, cap, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

static int job_none(void)
{
	struct priv priv = {0};
	struct raised raised = priv_raise_cr();

	WANT(raised.result == -EPERM && raised.cap == -1);
	WANT(!priv_has_permitted(CAP_CHECKPOINT_RESTORE));
	WANT(priv_ask(&priv, PRIV_EXACT_PID) == -EPERM);
	WANT(priv_ask(&priv, PRIV_MAP_FILES_OPEN) == -EPERM);
	WANT(priv_ask(&priv, PRIV_EXE_LINK) == -EPERM);
	WANT(priv_may(&priv, PRIV_SET_MM_MAP) && priv_may(&priv, PRIV_KCMP));
	WANT(priv_level(&priv) ==
	     (priv_may(&priv, PRIV_USER_NAMESPACE) ? LEVEL_USERNS : LEVEL_NONE));
	WANT(priv.answers[PRIV_EXACT_PID].known && !priv.answers[PRIV_PRIVATE_PROC].known);
	WANT(priv_drop_all(NULL) == 0 && priv_lower_all(NULL) == 0);
	WANT(priv_keep_over_exec(CAP_CHECKPOINT_RESTORE, NULL) == -EPERM);
	return 0;
}

static void test_level_none(void **state)
{
	(void)state;
	if (geteuid() != 0 && priv_has_permitted(CAP_CHECKPOINT_RESTORE))
		skip();
	run_as("", job_none);
}

static int job_cap(void)
{
	struct priv priv = {0}, later = {0};

	WANT(!is_effective(CAP_CHECKPOINT_RESTORE));
	WANT(priv_ask(&priv, PRIV_EXACT_PID) == 0);
	WANT(priv_ask(&priv, PRIV_MAP_FILES_OPEN) == 0);
	WANT(priv_ask(&priv, PRIV_EXE_LINK) == 0);
	WANT(priv_level(&priv) == LEVEL_CAP);
	WANT(!is_effective(CAP_CHECKPOINT_RESTORE));
	WANT(priv_drop_all(NULL) == 0);
	WANT(priv_ask(&later, PRIV_EXACT_PID) == -EPERM);
	WANT(priv_ask(&later, PRIV_MAP_FILES_OPEN) == -EPERM);
	return 0;
}

static void test_level_cap(void **state)
{
	(void)state;
	run_as("cap_checkpoint_restore=p", job_cap);
}

static void test_sys_admin_stands_in(void **state)
{
	(void)state;
	run_as("cap_sys_admin=p", job_cap);
}

static int job_root(void)
{
	struct priv priv = {0};

	WANT(priv_level(&priv) == LEVEL_ROOT);
	WANT(priv_may(&priv, PRIV_EXACT_PID) && priv_may(&priv, PRIV_MAP_FILES_OPEN));
	WANT(priv_may(&priv, PRIV_SET_MM_MAP) && priv_may(&priv, PRIV_EXE_LINK));
	return 0;
}

static void test_level_root(void **state)
{
	(void)state;
	if (geteuid() != 0 || !priv_has_permitted(CAP_SYS_ADMIN))
		skip();
	run_as(NULL, job_root);
}

/* What was effective before is so afterwards; what was not, is not. */
static int job_scope(void)
{
	{
		cleanup_lower struct raised raised = priv_raise(CAP_CHECKPOINT_RESTORE);

		WANT(raised.result == 0 && is_effective(CAP_CHECKPOINT_RESTORE));
		{
			cleanup_lower struct raised inner = priv_raise(CAP_CHECKPOINT_RESTORE);

			WANT(inner.result == 0 && inner.cap == -1);
		}
		WANT(is_effective(CAP_CHECKPOINT_RESTORE));
	}
	WANT(!is_effective(CAP_CHECKPOINT_RESTORE));
	return 0;
}

static void test_raised_for_a_scope_only(void **state)
{
	(void)state;
	run_as("cap_checkpoint_restore=p", job_scope);
}

static int job_lower_all(void)
{
	WANT(is_effective(CAP_CHECKPOINT_RESTORE) && priv_lower_all(NULL) == 0);
	WANT(!is_effective(CAP_CHECKPOINT_RESTORE));
	WANT(priv_has_permitted(CAP_CHECKPOINT_RESTORE));
	return 0;
}

static void test_lowered_at_the_start(void **state)
{
	(void)state;
	run_as("cap_checkpoint_restore=ep", job_lower_all);
}

/* The program that is executed says what it has: grep is told what to find. */
static int run_grep(const char *pattern)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("grep", "grep", "-q", pattern, "/proc/self/status", NULL);
		_exit(NOT_HERE);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int job_exec(void)
{
	WANT(run_grep("^CapEff:\t0*$") == 0);
	WANT(priv_keep_over_exec(CAP_CHECKPOINT_RESTORE, NULL) == 0);
	WANT(run_grep("^CapEff:\t0000010000000000$") == 0);
	WANT(priv_drop_ambient(NULL) == 0);
	WANT(run_grep("^CapPrm:\t0*$") == 0);
	WANT(priv_has_permitted(CAP_CHECKPOINT_RESTORE));
	return 0;
}

static void test_kept_over_exec(void **state)
{
	(void)state;
	run_as("cap_checkpoint_restore=p", job_exec);
}

/* A child by number, and it is not left with the capability. */
static int job_clone(void)
{
	pid_t wanted = fork(), pid;
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid_size = 1};
	int status;

	if (wanted == 0)
		_exit(0);
	waitpid(wanted, &status, 0);
	args.set_tid = (uintptr_t)&wanted;
	/* A number that was free a moment ago may be held for some milliseconds more. */
	for (int i = 0; i < 200; i++) {
		pid = priv_clone3(&args);
		if (pid != -EEXIST)
			break;
		usleep(1000);
	}
	if (pid == 0)
		_exit(getpid() == wanted && !is_effective(CAP_CHECKPOINT_RESTORE) ? 0 : 1);
	if (pid == -EEXIST)
		return NOT_HERE; /* somebody else got it */
	WANT(pid == wanted);
	waitpid(pid, &status, 0);
	WANT(status == 0 && !is_effective(CAP_CHECKPOINT_RESTORE));
	return 0;
}

static void test_clone_with_number(void **state)
{
	(void)state;
	run_as("cap_checkpoint_restore=p", job_clone);
}

/* The ids mean inside what they mean outside, and groups are fixed. */
static int in_user_namespace(int go)
{
	char c;

	if (read(go, &c, 1) != 1)
		return 2;
	if (getpid() != 1 || setgroups(0, NULL) == 0 || errno != EPERM)
		return 3;
	return priv_mount_private_proc(NULL) < 0 ? 4 : (int)geteuid() % 251;
}

static int job_userns(void)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
		.exit_signal = SIGCHLD,
	};
	struct priv priv = {0};
	cleanup_error struct error *err = NULL;
	int go[2], status;
	pid_t pid;

	if (!priv_may(&priv, PRIV_USER_NAMESPACE) || !priv_may(&priv, PRIV_PRIVATE_PROC))
		return NOT_HERE;
	WANT(pipe(go) == 0);
	pid = priv_clone3(&args);
	if (pid == 0) {
		close(go[1]);
		_exit(in_user_namespace(go[0]));
	}
	WANT(pid > 0);
	WANT(priv_enter_userns_maps(pid, geteuid(), getegid(), &err) == 0);
	WANT(write(go[1], "", 1) == 1);
	WANT(waitpid(pid, &status, 0) == pid);
	WANT(status == (int)(geteuid() % 251) << 8);
	WANT(priv_enter_userns_maps(getpid(), geteuid(), getegid(), &err) < 0 && err);
	return 0;
}

static void test_user_namespace_maps(void **state)
{
	(void)state;
	run_as("", job_userns);
	run_as(NULL, job_userns);
}

/* Whoever has loaded us must not notice a probe by its children. */
static int job_quiet(void)
{
	struct priv priv = {0};
	sigset_t pending, block;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, NULL);
	for (enum priv_op op = 0; op < PRIV_OPS; op++)
		priv_ask(&priv, op);
	WANT(sigpending(&pending) == 0 && !sigismember(&pending, SIGCHLD));
	WANT(waitpid(-1, NULL, __WALL | WNOHANG) < 0 && errno == ECHILD);
	return 0;
}

static void test_probes_leave_nothing(void **state)
{
	(void)state;
	run_as("", job_quiet);
	run_as(NULL, job_quiet);
}

static void test_table_is_complete(void **state)
{
	(void)state;
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		const struct priv_rule *rule = priv_rule(op);

		assert_true(rule->name && rule->purpose && rule->rule && rule->since);
		assert_true(rule->source && rule->without && rule->probe);
		assert_non_null(level_name(rule->needs));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_none),
		cmocka_unit_test(test_level_cap),
		cmocka_unit_test(test_sys_admin_stands_in),
		cmocka_unit_test(test_level_root),
		cmocka_unit_test(test_raised_for_a_scope_only),
		cmocka_unit_test(test_lowered_at_the_start),
		cmocka_unit_test(test_kept_over_exec),
		cmocka_unit_test(test_clone_with_number),
		cmocka_unit_test(test_user_namespace_maps),
		cmocka_unit_test(test_probes_leave_nothing),
		cmocka_unit_test(test_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

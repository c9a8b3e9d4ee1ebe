/* The seccomp record: what no honest image has is refused; and who shares filters with whom. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/filters.h"
#include "inject/inject.h"
#include "kind/kind.h"
#include "priv/seccomp.h"
#include "task/append.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

extern const struct kind kind_seccomp;

static Rec__Seccomp *record(uint32_t mode, uint32_t inherited)
{
	Rec__Seccomp *m = kind_message(&kind_seccomp);

	assert_non_null(m);
	m->tid = 1;
	m->mode = mode;
	m->inherited = inherited;
	return m;
}

static void add(Rec__Seccomp *m, size_t bytes)
{
	Rec__SeccompFilter *f =
		message_append(&m->filters, &m->n_filters, &rec__seccomp_filter__descriptor);

	assert_non_null(f);
	f->program.data = calloc(1, bytes + 1);
	f->program.len = bytes;
}

static bool is_valid(Rec__Seccomp *m)
{
	cleanup_error struct error *err = NULL;
	int r = kind_seccomp.state->validate(&m->base, &err);

	assert_true((r == 0) == (err == NULL));
	message_free(&m->base);
	return r == 0;
}

static void test_validate(void **state)
{
	Rec__Seccomp *m;

	(void)state;
	assert_true(is_valid(record(SECCOMP_MODE_STRICT, 0)));
	assert_true(is_valid(record(SECCOMP_MODE_FILTER, 3)));
	assert_false(is_valid(record(SECCOMP_MODE_FILTER, 0)));
	assert_false(is_valid(record(SECCOMP_MODE_STRICT, 1)));
	assert_false(is_valid(record(0, 0)));
	assert_false(is_valid(record(3, 1)));
	assert_false(is_valid(record(SECCOMP_MODE_FILTER, UINT32_MAX)));
	for (size_t bytes = 0; bytes <= 17; bytes++) {
		m = record(SECCOMP_MODE_FILTER, 0);
		add(m, bytes);
		assert_int_equal(is_valid(m), bytes == 8 || bytes == 16);
	}
	m = record(SECCOMP_MODE_FILTER, 0);
	add(m, 8 * BPF_MAXINSNS);
	assert_true(is_valid(m));
	m = record(SECCOMP_MODE_FILTER, 0);
	add(m, 8 * (BPF_MAXINSNS + 1));
	assert_false(is_valid(m));
	/* More than the kernel takes in all. */
	m = record(SECCOMP_MODE_FILTER, 0);
	for (int i = 0; i < 8; i++)
		add(m, 8 * BPF_MAXINSNS);
	assert_false(is_valid(m));
	m = record(SECCOMP_MODE_FILTER, 1);
	add(m, 8);
	assert_false(is_valid(m));
	/* As another thread: that, and nothing besides. */
	m = record(SECCOMP_MODE_FILTER, 0);
	m->as_thread = 2;
	assert_true(is_valid(m));
	m = record(SECCOMP_MODE_FILTER, 0);
	m->as_thread = m->tid;
	assert_false(is_valid(m));
	m = record(SECCOMP_MODE_FILTER, 1);
	m->as_thread = 2;
	assert_false(is_valid(m));
	m = record(SECCOMP_MODE_STRICT, 0);
	m->as_thread = 2;
	assert_false(is_valid(m));
}

/* ---- Who shares with whom --------------------------------------------------------- */

static pid_t fork_idle(int filters)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < filters; i++)
			priv_filter_nothing();
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int judge_children(void)
{
	pid_t same, more;
	bool good;

	if (priv_filter_nothing() < 0)
		return 77;
	same = fork_idle(0);
	more = fork_idle(1);
	good = filters_are_shared(getpid(), same, 1) && filters_are_shared(same, getpid(), 1) &&
	       filters_are_shared(getpid(), getpid(), 1) &&
	       !filters_are_shared(getpid(), more, 1) && !filters_are_shared(same, more, 2) &&
	       !filters_are_shared(getpid(), same, 2) && !filters_are_shared(getpid(), same, 0) &&
	       /* The one that made us has none, and a stranger is under other ones. */
	       !filters_are_shared(getpid(), getppid(), 1) && !filters_are_shared(same, 1, 1);
	kill(same, SIGKILL);
	kill(more, SIGKILL);
	while (wait(NULL) > 0)
		;
	return good ? 0 : 1;
}

static void test_shared(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(judge_children());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- Rehearsals ------------------------------------------------------------------- */

static int rehearse(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sysinfo, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};
	struct injection in = {.pid = getpid(), .wary = true}, bold = {.pid = getpid()};
	struct error *err = NULL;

	if (priv_filter_nothing() < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return 77;
	if (inject_rehearse(&in, SYS_munmap, NULL) != 0 || inject_rehearse_own(&in, NULL) != 0)
		return 1;
	if (inject_rehearse(&in, SYS_sysinfo, &err) != -EPERM || !err)
		return 2;
	error_free(err);
	/* Asked again, it is tried again; and nobody who is not wary is asked. */
	if (inject_rehearse(&in, SYS_sysinfo, NULL) != -EPERM ||
	    inject_rehearse(&bold, SYS_sysinfo, NULL) != 0)
		return 3;
	return inject_rehearse(&in, SYS_exit_group, NULL) == -EPERM &&
			       inject_rehearse(&in, -1, NULL) == -EPERM &&
			       inject_rehearse(&in, REHEARSED_CALLS, NULL) == -EPERM
		       ? 0
		       : 4;
}

static void test_rehearsal(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(rehearse());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_validate),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_rehearsal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The public functions as a caller sees them: bad arguments, structs of other sizes, errors
 * without an error to fill, children of one's own, capabilities that come back.
 */
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stasis.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char image[64];

static void nap(long milliseconds)
{
	struct timespec ts = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* A child without descriptors, that ends with the given status after some naps. */
static pid_t start_child(int naps, int status)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
		while (naps-- > 0)
			nap(10);
		_exit(status);
	}
	assert_true(pid > 0);
	nap(20);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The error is there, has this outcome, and its first reason is a sentence. */
static void expect_error(stasis_error **err, enum stasis_outcome outcome, const char *part)
{
	assert_non_null(*err);
	assert_int_equal(stasis_error_outcome(*err), outcome);
	assert_true(stasis_error_count(*err) >= 1);
	if (!strstr(stasis_error_why(*err, 0), part))
		fail_msg("not '%s' in '%s'", part, stasis_error_why(*err, 0));
	stasis_error_free(*err);
	*err = NULL;
}

static void errors_without_an_error(void **state)
{
	(void)state;
	/* Whoever does not want the words gets the number. */
	assert_int_equal(stasis_checkpoint(-1, image, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(stasis_survey(0, NULL), -EINVAL);
	assert_int_equal(stasis_verify("/does/not/exist", NULL, NULL), -ENOENT);
	/* And nothing at all is an error, too. */
	assert_int_equal(stasis_error_count(NULL), 0);
	assert_int_equal(stasis_error_outcome(NULL), STASIS_FAILED);
	assert_null(stasis_error_mend(NULL, 0));
	stasis_error_free(NULL);
	stasis_process_free(NULL);
	assert_non_null(strchr(stasis_version(), '.'));
}

static void bad_arguments(void **state)
{
	struct stasis_checkpoint_options co = {.size = sizeof co, .compress = 20};
	struct stasis_restore_options ro = STASIS_RESTORE_OPTIONS_INIT;
	stasis_process *process = (stasis_process *)image; /* untouched on failure */
	char *text = image;
	stasis_error *err = NULL;

	(void)state;
	assert_int_equal(stasis_checkpoint(getpid(), image, &co, NULL, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "compression level");
	co = (struct stasis_checkpoint_options){.size = sizeof co, .then = (enum stasis_then)7};
	assert_int_equal(stasis_checkpoint(getpid(), image, &co, NULL, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "");
	assert_int_equal(stasis_checkpoint(getpid(), image, NULL, NULL, &err), -EINVAL);
	expect_error(&err, STASIS_REFUSED, "this program itself");
	ro.pid = (enum stasis_pid)9;
	assert_int_equal(stasis_restore(image, &ro, &process, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "process numbers");
	assert_int_equal(stasis_restore("/does/not/exist", NULL, &process, &err), -ENOENT);
	expect_error(&err, STASIS_REFUSED, "/does/not/exist");
	assert_int_equal(stasis_show(image, (enum stasis_format)5, &text, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "format");
	assert_int_equal(stasis_doctor(0, STASIS_RECORDS, &text, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "format");
	assert_int_equal(stasis_doctor(-1, STASIS_JSON, &text, &err), -EINVAL);
	expect_error(&err, STASIS_USAGE, "process number");
	assert_int_equal(stasis_doctor(INT_MAX, STASIS_JSON, &text, &err), -ESRCH);
	expect_error(&err, STASIS_REFUSED, "there is no process");
	assert_ptr_equal(process, image);
	assert_ptr_equal(text, image);
}

static void own_child(void **state)
{
	struct stasis_checkpoint_options options = {.size = sizeof options, .then = STASIS_KILL};
	struct stasis_checkpoint_result result = {.size = sizeof result};
	struct stasis_image_info info = {.size = sizeof info};
	stasis_process *process;
	stasis_error *err = NULL;
	pid_t pid = start_child(30, 42);
	int status;

	(void)state;
	if (stasis_survey(pid, &err) < 0)
		fail_msg("survey: %s", stasis_error_why(err, 0));
	if (stasis_checkpoint(pid, image, &options, &result, &err) < 0)
		fail_msg("checkpoint: %s", stasis_error_why(err, 0));
	/* Its end is the caller's to wait for. */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(result.bytes > 0 && result.memory > 0 && result.pause > 0);

	assert_int_equal(stasis_verify(image, &info, &err), 0);
	assert_int_equal(info.bytes, result.bytes);
	assert_int_equal(strlen(info.identity), 32);

	if (stasis_restore(image, NULL, &process, &err) < 0)
		fail_msg("restore: %s", stasis_error_why(err, 0));
	assert_true(kill(stasis_process_pid(process), 0) == 0);
	assert_int_equal(stasis_process_wait(process, &status, &err), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	stasis_process_free(process);
	unlink(image);
}

static void stops_are_told(void **state)
{
	struct stasis_checkpoint_options options = {.size = sizeof options, .then = STASIS_KILL};
	pid_t pid = start_child(1000, 0);
	int status;

	(void)state;
	assert_int_equal(stasis_checkpoint(pid, image, &options, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int policy = STASIS_PID_AUTO; policy <= STASIS_PID_NEW; policy++) {
		struct stasis_restore_options ro = STASIS_RESTORE_OPTIONS_INIT;
		stasis_process *process;

		ro.pid = (enum stasis_pid)policy;
		/* Not everybody may choose numbers, or have a namespace. */
		if (stasis_restore(image, &ro, &process, NULL) == -EPERM)
			continue;
		kill(stasis_process_pid(process), SIGSTOP);
		assert_int_equal(stasis_process_wait_change(process, &status, NULL), 0);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		kill(stasis_process_pid(process), SIGKILL);
		assert_int_equal(stasis_process_wait(process, &status, NULL), 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		stasis_process_free(process);
	}
	unlink(image);
}

/* A caller that was built when the structs had fewer fields. */
static void smaller_structs(void **state)
{
	struct stasis_checkpoint_options options = {
		.size = offsetof(struct stasis_checkpoint_options, compress),
		.then = STASIS_CONTINUE,
		.compress = 1000, /* not the caller's: must not be looked at */
	};
	struct stasis_checkpoint_result result = {
		.size = offsetof(struct stasis_checkpoint_result, memory),
		.memory = 4242,
		.pause = 4242,
	};
	pid_t pid = start_child(1000, 0);

	(void)state;
	assert_int_equal(stasis_checkpoint(pid, image, &options, &result, NULL), 0);
	assert_true(result.bytes > 0);
	assert_int_equal(result.memory, 4242);
	assert_int_equal(result.pause, 4242);
	assert_int_equal(kill(pid, 0), 0);
	end_child(pid);
	unlink(image);
}

struct told {
	uint64_t before, last;
	unsigned int calls;
};

static void tell(void *arg, uint64_t bytes)
{
	struct told *t = arg;

	assert_true(bytes >= t->last);
	t->before = t->last;
	t->last = bytes;
	t->calls++;
}

static void progress_is_told(void **state)
{
	struct told told = {0};
	struct stasis_checkpoint_options options = {
		.size = sizeof options, .progress = tell, .progress_arg = &told};
	struct stasis_checkpoint_result result = {.size = sizeof result};
	struct stasis_restore_options ro = STASIS_RESTORE_OPTIONS_INIT;
	stasis_process *process;
	pid_t pid = start_child(1000, 0);
	int status;

	(void)state;
	assert_int_equal(stasis_checkpoint(pid, image, &options, &result, NULL), 0);
	assert_true(told.calls > 0 && told.last > 0 && told.last <= result.bytes);
	end_child(pid);

	told = (struct told){0};
	ro.progress = tell;
	ro.progress_arg = &told;
	assert_int_equal(stasis_restore(image, &ro, &process, NULL), 0);
	assert_int_equal(told.before, result.memory);
	assert_true(told.last == UINT64_MAX);
	kill(stasis_process_pid(process), SIGKILL);
	assert_int_equal(stasis_process_wait(process, &status, NULL), 0);
	stasis_process_free(process);
	unlink(image);
}

static void failure_leaves_nothing(void **state)
{
	pid_t pid = start_child(1000, 0);
	char missing[] = "/does/not/exist/image";
	stasis_error *err = NULL;

	(void)state;
	assert_int_equal(stasis_checkpoint(pid, missing, NULL, NULL, &err), -ENOENT);
	expect_error(&err, STASIS_REFUSED, missing);
	assert_int_equal(stasis_checkpoint(pid, "/dev/full", NULL, NULL, &err), -ENOSPC);
	expect_error(&err, STASIS_FAILED, "the disk is full");
	/* It is nobody's tracee, and runs. */
	assert_int_equal(waitpid(pid, NULL, WNOHANG | WUNTRACED), 0);
	end_child(pid);
}

static void text_of_an_image(void **state)
{
	pid_t pid = start_child(1000, 0);
	char *text = NULL;

	(void)state;
	assert_int_equal(stasis_checkpoint(pid, image, NULL, NULL, NULL), 0);
	end_child(pid);
	for (int format = STASIS_SUMMARY; format <= STASIS_JSON; format++) {
		assert_int_equal(stasis_show(image, (enum stasis_format)format, &text, NULL), 0);
		assert_true(strlen(text) > 100);
		free(text);
	}
	unlink(image);
}

/* Nothing of the caller's is touched by the trying: no signal, no child left to wait for. */
static void what_works_here(void **state)
{
	sigset_t block, before, pending;
	pid_t pid = start_child(1000, 0);
	char *text = NULL;

	(void)state;
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &before);
	assert_int_equal(stasis_doctor(0, STASIS_SUMMARY, &text, NULL), STASIS_WELL);
	assert_non_null(strstr(text, "can be saved and brought back here"));
	free(text);
	assert_true(sigpending(&pending) == 0 && !sigismember(&pending, SIGCHLD));
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(stasis_doctor(pid, STASIS_JSON, &text, NULL), STASIS_WELL);
	assert_non_null(strstr(text, "\"can_be_saved\": true"));
	free(text);
	assert_int_equal(stasis_doctor(getpid(), STASIS_JSON, &text, NULL), STASIS_OBSTACLES);
	assert_non_null(strstr(text, "this program itself"));
	free(text);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	end_child(pid);
}

static void name_image(void)
{
	const char *folder = getenv("SCRATCH");

	if (!folder || strlen(folder) > 32)
		folder = "/tmp";
	snprintf(image, sizeof image, "%.32s/api-%d.stasis", folder, (int)getpid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_without_an_error), cmocka_unit_test(bad_arguments),
		cmocka_unit_test(own_child),		   cmocka_unit_test(stops_are_told),
		cmocka_unit_test(smaller_structs),	   cmocka_unit_test(progress_is_told),
		cmocka_unit_test(failure_leaves_nothing),  cmocka_unit_test(text_of_an_image),
		cmocka_unit_test(what_works_here),
	};

	name_image();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

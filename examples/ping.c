/*
 * The library in one page: a child counts; in the middle of it, it is saved and ended; then it is
 * brought back and counts on.
 *
 *	cc -o ping ping.c $(pkg-config --cflags --libs stasis) && ./ping
 */
#include <stasis.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IMAGE "ping.stasis"
#define COUNT 42

static void nap(long milliseconds)
{
	struct timespec ts = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* Knows nothing of what happens to it. */
static int count(void)
{
	int n;

	for (n = 0; n < COUNT; n++)
		nap(20);
	return n;
}

static int complain(const char *what, stasis_error *err)
{
	for (size_t i = 0; i < stasis_error_count(err); i++) {
		const char *mend = stasis_error_mend(err, i);

		fprintf(stderr, "%s: %s\n", what, stasis_error_why(err, i));
		if (mend)
			fprintf(stderr, "    %s\n", mend);
	}
	stasis_error_free(err);
	return 1;
}

int main(void)
{
	struct stasis_checkpoint_options options = {.size = sizeof options, .then = STASIS_KILL};
	struct stasis_checkpoint_result result = {.size = sizeof result};
	stasis_process *process;
	stasis_error *err = NULL;
	int status;
	pid_t child;

	child = fork();
	if (child == 0)
		_exit(count());
	if (child < 0)
		return 1;
	nap(200);

	if (stasis_checkpoint(child, IMAGE, &options, &result, &err) < 0)
		return complain("checkpoint", err);
	waitpid(child, &status, 0);
	printf("process %d: %llu bytes in %s, ended by signal %d\n", (int)child,
	       (unsigned long long)result.bytes, IMAGE, WIFSIGNALED(status) ? WTERMSIG(status) : 0);

	if (stasis_restore(IMAGE, NULL, &process, &err) < 0)
		return complain("restore", err);
	printf("it is back, as process %d\n", (int)stasis_process_pid(process));
	if (stasis_process_wait(process, &status, &err) < 0)
		return complain("wait", err);
	stasis_process_free(process);
	unlink(IMAGE);

	printf("it counted to %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return WIFEXITED(status) && WEXITSTATUS(status) == COUNT ? 0 : 1;
}

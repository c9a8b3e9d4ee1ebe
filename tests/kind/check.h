/*
 * What every program of tests/kind uses: it sets a state up, says that it is
 * ready, is checkpointed (and killed and restored, or left running), is told
 * to go on, and then checks for itself that all is as it was.
 *
 *	int main(void)
 *	{
 *		... set up ...
 *		test_ready();
 *		CHECK(... everything is as it was ...);
 *		test_passed();
 *	}
 *
 * The driver starts the program in an empty directory of its own, stdin on
 * /dev/null, stdout and stderr on the file "out" there.  test_ready() makes
 * the file "ready" and returns when the file "go" exists.  Exit status: 0 all
 * is well, 1 something differs, 77 this machine cannot show it (with the reason).
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: failed: %s (errno %d: %s)\n",  \
				__FILE__, __LINE__, #cond, errno,              \
				strerror(errno));                              \
			_exit(1);                                              \
		}                                                              \
	} while (0)

/* As CHECK, for two integers, and shows both. */
#define CHECK_EQ(a, b)                                                         \
	do {                                                                   \
		long long a_ = (long long)(a), b_ = (long long)(b);            \
		if (a_ != b_) {                                                \
			fprintf(stderr, "%s:%d: failed: %s is %lld, want %lld\n", \
				__FILE__, __LINE__, #a, a_, b_);               \
			_exit(1);                                              \
		}                                                              \
	} while (0)

#define SKIP(...)                                                              \
	do {                                                                   \
		printf("skipped: " __VA_ARGS__);                               \
		printf("\n");                                                  \
		fflush(stdout);                                                \
		_exit(77);                                                     \
	} while (0)

static inline void test_nap(long milliseconds)
{
	struct timespec ts = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/*
 * Under Yama's ptrace_scope 1 only a process itself can let others than its ancestors trace it.
 * fork(3) hands nothing on, so that children say it, too; those of clone(2) call this.
 */
static inline void test_allow_tracing(void)
{
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

__attribute__((constructor)) static inline void test_begin(void)
{
	test_allow_tracing();
	pthread_atfork(NULL, NULL, test_allow_tracing);
}

/*
 * "stasis-test-0123456789abcdef": for what has a name that all of the machine sees.  Not the
 * pid: a restored program may have a number that somebody else has outside.
 */
static inline const char *test_name(void)
{
	static char name[32];
	unsigned long long random;

	if (!name[0]) {
		CHECK(getrandom(&random, sizeof random, 0) == sizeof random);
		snprintf(name, sizeof name, "stasis-test-%016llx", random);
	}
	return name;
}

static inline void test_ready(void)
{
	int fd = open("ready", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	close(fd);
	while (access("go", F_OK) < 0)
		test_nap(2);
}

__attribute__((noreturn)) static inline void test_passed(void)
{
	printf("passed\n");
	fflush(stdout);
	_exit(0);
}

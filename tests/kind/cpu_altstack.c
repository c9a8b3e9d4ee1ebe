/*
 * Shows: the alternate signal stack of each thread: same place, size and
 * flags, and handlers really run there.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "check.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

#define SIZE 65536

static pthread_barrier_t barrier;
static __thread char *volatile ran_at;

static void handler(int sig)
{
	(void)sig;
	ran_at = __builtin_frame_address(0);
}

static stack_t arm(char *memory, unsigned int flags)
{
	stack_t stack = {.ss_sp = memory, .ss_size = SIZE, .ss_flags = (int)flags};

	CHECK(sigaltstack(&stack, NULL) == 0);
	return stack;
}

static void check(stack_t want)
{
	stack_t now;

	CHECK(sigaltstack(NULL, &now) == 0);
	CHECK(now.ss_sp == want.ss_sp);
	CHECK_EQ(now.ss_size, want.ss_size);
	CHECK_EQ(now.ss_flags, want.ss_flags);
	ran_at = NULL;
	CHECK_EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
	CHECK(ran_at > (char *)want.ss_sp && ran_at < (char *)want.ss_sp + SIZE);
}

static void *with_stack(void *arg)
{
	stack_t stack = arm(arg, SS_AUTODISARM);

	pthread_barrier_wait(&barrier);
	/* Here the checkpoint happens. */
	pthread_barrier_wait(&barrier);
	check(stack);
	return NULL;
}

static void *without_stack(void *arg)
{
	stack_t now;

	pthread_barrier_wait(&barrier);
	/* And here. */
	pthread_barrier_wait(&barrier);
	CHECK(sigaltstack(NULL, &now) == 0);
	CHECK_EQ(now.ss_flags, SS_DISABLE);
	return arg;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	pthread_t threads[2];

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 3), 0);
	CHECK_EQ(pthread_create(&threads[0], NULL, with_stack, malloc(SIZE)), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, without_stack, NULL), 0);
	stack_t stack = arm(malloc(SIZE), 0);

	pthread_barrier_wait(&barrier);
	test_ready();
	pthread_barrier_wait(&barrier);

	check(stack);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	test_passed();
}

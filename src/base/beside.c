#include "base/beside.h"

#include <signal.h>

static void *run(void *arg)
{
	struct beside *b = arg;

	b->work(b->arg);
	return NULL;
}

void beside_start(struct beside *b, void (*work)(void *arg), void *arg)
{
	sigset_t all, before;

	b->work = work;
	b->arg = arg;
	/* Signals are the caller's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	b->running = pthread_create(&b->thread, NULL, run, b) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!b->running)
		work(arg);
}

void beside_wait(struct beside *b)
{
	if (b->running)
		pthread_join(b->thread, NULL);
	b->running = false;
}

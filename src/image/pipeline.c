#include "image/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

struct pipeline {
	struct pipeline_ops ops;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t todo; /* a job is ready, or it is over */
	pthread_cond_t done; /* a job is finished */
	struct pipeline_job *first, **last; /* not taken yet */
	struct pipeline_job *unready;       /* the oldest that is not ready, among them */
	size_t unready_count;
	uint64_t added, taken, finished;
	bool over;
	int failed;
	struct error *why;
	unsigned wanted, started; /* threads */
	struct worker {
		struct pipeline *pipeline;
		pthread_t thread;
	} workers[];
};

/* All of them are called with the lock held, and hold it again when they return. */

static struct pipeline_job *take(struct pipeline *p, uint64_t *ret_turn)
{
	struct pipeline_job *job;

	while (!p->over && !(p->first && p->first->ready))
		pthread_cond_wait(&p->todo, &p->lock);
	job = p->first;
	if (!job || !job->ready)
		return NULL;
	p->first = job->next;
	if (!p->first)
		p->last = &p->first;
	*ret_turn = p->taken++;
	return job;
}

static void work(struct pipeline *p, struct pipeline_job *job, unsigned worker)
{
	if (p->failed || !p->ops.work)
		return;
	pthread_mutex_unlock(&p->lock);
	p->ops.work(p->arg, job, worker);
	pthread_mutex_lock(&p->lock);
}

static void finish(struct pipeline *p, struct pipeline_job *job, unsigned worker)
{
	struct error *why = NULL;
	int r;

	if (p->failed)
		return;
	pthread_mutex_unlock(&p->lock);
	r = p->ops.finish(p->arg, job, worker, &why);
	pthread_mutex_lock(&p->lock);
	if (r < 0) {
		p->failed = -r;
		p->why = why;
	}
}

/* False: there is nothing to be done, and there never will be. */
static bool do_one(struct pipeline *p, unsigned worker)
{
	uint64_t turn;
	struct pipeline_job *job = take(p, &turn);

	if (!job)
		return false;
	work(p, job, worker);
	while (p->finished != turn)
		pthread_cond_wait(&p->done, &p->lock);
	finish(p, job, worker);
	if (p->ops.release)
		p->ops.release(p->arg, job);
	p->finished++;
	pthread_cond_broadcast(&p->done);
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *me = arg;
	struct pipeline *p = me->pipeline;

	pthread_mutex_lock(&p->lock);
	while (do_one(p, (unsigned)(me - p->workers)))
		;
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/*
 * No signal is for these threads: who handles them is the one that started us.  With fewer
 * of them, or none, the work is done as well.
 */
static void start_workers(struct pipeline *p)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->started < p->wanted) {
		struct worker *w = &p->workers[p->started];

		w->pipeline = p;
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
			break;
		p->started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int pipeline_new(struct pipeline **ret, unsigned workers, const struct pipeline_ops *ops,
		   void *arg)
{
	struct pipeline *p = calloc(1, sizeof *p + workers * sizeof *p->workers);

	if (!p)
		return -ENOMEM;
	p->ops = *ops;
	p->arg = arg;
	p->wanted = workers;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->todo, NULL);
	pthread_cond_init(&p->done, NULL);
	*ret = p;
	return 0;
}

void pipeline_add(struct pipeline *p, struct pipeline_job *job, bool ready)
{
	job->next = NULL;
	job->ready = ready;
	pthread_mutex_lock(&p->lock);
	*p->last = job;
	p->last = &job->next;
	/* A single job is done when somebody waits for it: a small image needs no thread. */
	if (p->added++ != p->finished && !p->started)
		start_workers(p);
	if (!ready) {
		p->unready_count++;
		if (!p->unready)
			p->unready = job;
	}
	pthread_cond_signal(&p->todo);
	pthread_mutex_unlock(&p->lock);
}

bool pipeline_ready(struct pipeline *p)
{
	struct pipeline_job *job;

	pthread_mutex_lock(&p->lock);
	job = p->unready;
	if (job) {
		/* What is not ready was not taken: the list from here on is whole. */
		p->unready_count--;
		for (p->unready = job->next; p->unready && p->unready->ready;)
			p->unready = p->unready->next;
		job->ready = true;
		pthread_cond_broadcast(&p->todo);
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

size_t pipeline_unready(struct pipeline *p)
{
	size_t count;

	pthread_mutex_lock(&p->lock);
	count = p->unready_count;
	pthread_mutex_unlock(&p->lock);
	return count;
}

void pipeline_wait(struct pipeline *p, size_t left)
{
	pthread_mutex_lock(&p->lock);
	while (p->added - p->finished > left) {
		if (p->started)
			pthread_cond_wait(&p->done, &p->lock);
		else
			do_one(p, 0);
	}
	pthread_mutex_unlock(&p->lock);
}

int pipeline_failure(struct pipeline *p, struct error **err)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = -p->failed;
	if (p->why && err) {
		error_merge(err, &p->why);
		p->why = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->over = true;
	if (!p->failed)
		p->failed = ECANCELED;
	pthread_cond_broadcast(&p->todo);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->workers[i].thread, NULL);
	for (struct pipeline_job *job = p->first, *next; job; job = next) {
		next = job->next;
		if (p->ops.release)
			p->ops.release(p->arg, job);
	}
	error_free(p->why);
	pthread_cond_destroy(&p->todo);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

#include "image/pump.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define THREADS 2
#define JOBS 4 /* frames that are being read or wait for a thread */
/* Of a stream, so much may have been read that nobody has used: two compressed frames. */
#define PIECES 24
/* Less than this is done sooner than threads are started. */
#define WORTH_THREADS ((uint64_t)2 << 20)

struct piece {
	struct piece *next;
	size_t len;
	uint8_t *bytes;
};

enum job_state {
	FREE,
	READY,
	TAKEN,
};

struct job {
	enum job_state state;
	uint64_t order; /* who was begun first */
	struct image_data what;
	struct page_run runs[IMAGE_MAX_RUNS];
	struct image_file file;

	/* Of a stream: what was read and not used yet. */
	bool streamed;
	XXH3_state_t *hash;
	struct piece *first, **last;
	bool complete; /* nothing will be added */
	bool cut;      /* ... though it is not all: who read it has failed */
};

struct worker {
	struct image_pump *pump;
	struct image_decoder *decoder;
	pthread_t thread;
};

struct image_pump {
	pthread_mutex_t lock;
	pthread_cond_t work; /* for threads: a job, a piece, the end */
	pthread_cond_t rest; /* for the caller: a free job, a spare piece */
	struct worker workers[THREADS];
	unsigned worker_count;
	bool alone; /* no thread could be started: the caller does all of it */
	bool stop;
	struct job jobs[JOBS];
	uint64_t begun;
	struct piece pieces[PIECES], *spare;
	size_t piece_count; /* that have their memory */
	uint64_t raw_bytes;
	struct image_decoder *own; /* the caller's */

	int failed; /* -errno */
	uint64_t failed_order;
	struct error *why;
};

/* Keeps the failure of the earliest frame. */
static void note_failure(struct image_pump *p, uint64_t order, int res, struct error **why)
{
	if (!p->failed || order < p->failed_order) {
		error_free(p->why);
		p->failed = res;
		p->failed_order = order;
		p->why = *why;
		*why = NULL;
	}
	error_freep(why);
}

/* A frame before it has failed.  One behind it is no reason: the first that fails is told. */
static bool is_vain(const struct image_pump *p, const struct job *job)
{
	return p->failed && p->failed_order < job->order;
}

/* Another thread is at the frame before it. */
static bool follows_taken(const struct image_pump *p, const struct job *job)
{
	for (size_t i = 0; i < JOBS; i++)
		if (p->jobs[i].state == TAKEN && p->jobs[i].order + 1 == job->order)
			return true;
	return false;
}

/* Frames of a stream in their order, or it would not flow. */
static bool is_better(const struct image_pump *p, const struct job *job, const struct job *than)
{
	bool near = !job->streamed && follows_taken(p, job);
	bool than_near = !than->streamed && follows_taken(p, than);

	return near != than_near ? than_near : job->order < than->order;
}

/*
 * The one that was begun first of those that wait, but for neighbours: where one frame ends and the
 * next begins there often is a huge page between them, which two threads that come to it at
 * the same time would both make and zero, and one of them in vain.
 */
static struct job *next_job(struct image_pump *p)
{
	struct job *found = NULL;

	for (size_t i = 0; i < JOBS; i++)
		if (p->jobs[i].state == READY && (!found || is_better(p, &p->jobs[i], found)))
			found = &p->jobs[i];
	return found;
}

/* NULL: that was the last one.  The lock is held. */
static struct piece *take_piece(struct image_pump *p, struct job *job)
{
	struct piece *piece;

	while (!job->first && !job->complete)
		pthread_cond_wait(&p->work, &p->lock);
	piece = job->first;
	if (piece) {
		job->first = piece->next;
		if (!job->first)
			job->last = &job->first;
	}
	return piece;
}

static void give_back(struct image_pump *p, struct piece *piece)
{
	piece->next = p->spare;
	p->spare = piece;
	pthread_cond_signal(&p->rest);
}

/* The lock is held, but not while something is done with a piece. */
static int decode_stream(struct image_pump *p, struct job *job, struct image_decoder *d,
			 struct error **err)
{
	struct piece *piece;
	int res = 0;

	image_decoder_begin(d, &job->what, job->hash);
	while ((piece = take_piece(p, job))) {
		bool useful = res == 0 && !is_vain(p, job);

		pthread_mutex_unlock(&p->lock);
		if (useful)
			res = image_decoder_feed(d, piece->bytes, piece->len, err);
		pthread_mutex_lock(&p->lock);
		give_back(p, piece);
	}
	return res < 0 || job->cut || is_vain(p, job) ? res : image_decoder_end(d, err);
}

/* The lock is held. */
static void do_job(struct image_pump *p, struct job *job, struct image_decoder *d)
{
	struct error *why = NULL;
	int res = 0;

	job->state = TAKEN;
	if (job->streamed) {
		res = decode_stream(p, job, d, &why);
	} else if (!is_vain(p, job)) {
		pthread_mutex_unlock(&p->lock);
		res = image_decoder_read(d, &job->file, &job->what, &why);
		pthread_mutex_lock(&p->lock);
	}
	if (res < 0)
		note_failure(p, job->order, res, &why);
	job->state = FREE;
	pthread_cond_signal(&p->rest);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct image_pump *p = w->pump;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct job *job = next_job(p);

		if (job)
			do_job(p, job, w->decoder);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool start_worker(struct image_pump *p)
{
	struct worker *w = &p->workers[p->worker_count];

	if (image_decoder_new(&w->decoder, NULL) < 0)
		return false;
	w->pump = p;
	if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
		image_decoder_freep(&w->decoder);
		return false;
	}
	p->worker_count++;
	return true;
}

/* One will do, and none as well: there may be a limit. */
static void start_workers(struct image_pump *p)
{
	sigset_t all, before;

	/* Signals are the caller's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->worker_count < THREADS && start_worker(p))
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->alone = p->worker_count == 0;
}

int image_pump_new(struct image_pump **ret, struct error **err)
{
	cleanup_image_pump struct image_pump *p = calloc(1, sizeof *p);

	if (!p)
		return fail(err, ENOMEM, "out of memory");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->rest, NULL);
	for (size_t i = 0; i < JOBS; i++) {
		p->jobs[i].hash = XXH3_createState();
		if (!p->jobs[i].hash)
			return fail(err, ENOMEM, "out of memory");
	}
	*ret = p;
	p = NULL;
	return 0;
}

void image_pump_free(struct image_pump *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->worker_count; i++) {
		pthread_join(p->workers[i].thread, NULL);
		image_decoder_free(p->workers[i].decoder);
	}
	for (size_t i = 0; i < JOBS; i++)
		XXH3_freeState(p->jobs[i].hash);
	for (size_t i = 0; i < p->piece_count; i++)
		free(p->pieces[i].bytes);
	pthread_cond_destroy(&p->rest);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	image_decoder_free(p->own);
	error_free(p->why);
	free(p);
}

void image_pump_freep(struct image_pump **p)
{
	image_pump_free(*p);
	*p = NULL;
}

/* Small things are done at once, by whoever asks; for others there are threads now. */
static bool is_for_caller(struct image_pump *p, const struct image_data *what)
{
	p->raw_bytes += what->stored.raw_length;
	if (p->raw_bytes <= WORTH_THREADS)
		return true;
	if (!p->worker_count && !p->alone)
		start_workers(p);
	return p->alone;
}

static int have_own(struct image_pump *p, struct error **err)
{
	return p->own ? 0 : image_decoder_new(&p->own, err);
}

/* A job that is nobody's yet, filled in.  The lock is held; NULL: something has failed. */
static struct job *begin_job(struct image_pump *p, const struct image_data *what)
{
	struct job *job = NULL;

	while (!p->failed && !job) {
		for (size_t i = 0; i < JOBS; i++)
			if (p->jobs[i].state == FREE)
				job = &p->jobs[i];
		if (!job)
			pthread_cond_wait(&p->rest, &p->lock);
	}
	if (p->failed)
		return NULL;
	job->order = ++p->begun;
	job->what = *what;
	memcpy(job->runs, what->runs, what->run_count * sizeof *job->runs);
	job->what.runs = job->runs;
	job->first = NULL;
	job->last = &job->first;
	job->streamed = job->complete = job->cut = false;
	return job;
}

static void make_ready(struct image_pump *p, struct job *job)
{
	job->state = READY;
	pthread_cond_broadcast(&p->work);
}

int image_pump_stored(struct image_pump *p, const struct image_file *file,
		      const struct image_data *what, struct error **err)
{
	struct job *job;
	int res;

	if (is_for_caller(p, what)) {
		res = have_own(p, err);
		return res < 0 ? res : image_decoder_read(p->own, file, what, err);
	}
	pthread_mutex_lock(&p->lock);
	job = begin_job(p, what);
	if (job) {
		job->file = *file;
		make_ready(p, job);
	}
	pthread_mutex_unlock(&p->lock);
	return job ? 0 : -ECANCELED;
}

/* Room for more of the stream; NULL: something has failed, or there is no memory. */
static struct piece *empty_piece(struct image_pump *p)
{
	struct piece *piece = NULL;

	pthread_mutex_lock(&p->lock);
	if (!p->spare && p->piece_count < PIECES) {
		piece = &p->pieces[p->piece_count];
		piece->bytes = malloc(IMAGE_PIECE);
		p->piece_count += piece->bytes != NULL;
		piece = piece->bytes ? piece : NULL;
	} else {
		while (!p->spare && !p->failed)
			pthread_cond_wait(&p->rest, &p->lock);
		piece = p->failed ? NULL : p->spare;
		if (piece)
			p->spare = piece->next;
	}
	pthread_mutex_unlock(&p->lock);
	return piece;
}

static void add_piece(struct image_pump *p, struct job *job, struct piece *piece, size_t len)
{
	piece->len = len;
	piece->next = NULL;
	pthread_mutex_lock(&p->lock);
	*job->last = piece;
	job->last = &piece->next;
	/* Which of the threads waits for this very job is not known. */
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

static int read_stream(struct image_pump *p, struct image_reader *r, struct job *job,
		       struct error **err)
{
	const struct image_stored *s = &job->what.stored;
	int res = 0;

	for (uint64_t left = s->length - s->data_at; left && res == 0;) {
		size_t len = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
		struct piece *piece = empty_piece(p);

		if (!piece)
			return fail(err, ENOMEM, "out of memory");
		res = image_reader_stored_data(r, piece->bytes, len, err);
		if (res == 0) {
			add_piece(p, job, piece, len);
			left -= len;
		} else {
			pthread_mutex_lock(&p->lock);
			give_back(p, piece);
			pthread_mutex_unlock(&p->lock);
		}
	}
	return res;
}

static int pump_stream(struct image_pump *p, struct image_reader *r,
		       const struct image_data *what)
{
	struct error *why = NULL;
	struct job *job;
	int res;

	pthread_mutex_lock(&p->lock);
	job = begin_job(p, what);
	if (job) {
		job->streamed = true;
		XXH3_copyState(job->hash, image_reader_hash(r));
		make_ready(p, job);
	}
	pthread_mutex_unlock(&p->lock);
	if (!job)
		return -ECANCELED;
	res = read_stream(p, r, job, &why);
	pthread_mutex_lock(&p->lock);
	job->cut = res < 0;
	job->complete = true;
	if (res < 0)
		note_failure(p, job->order, res, &why);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	return res < 0 ? -ECANCELED : 0;
}

int image_pump_frame(struct image_pump *p, struct image_reader *r, const struct image_frame *frame,
		     const struct image_sink *sink, struct error **err)
{
	struct image_data what = {image_reader_name(r), frame->stored, frame->runs, frame->run_count,
				  *sink};
	struct image_file file;
	int res;

	if (image_reader_file(r, &file)) {
		res = image_pump_stored(p, &file, &what, err);
		return res < 0 ? res : image_reader_leave_data(r, err);
	}
	return is_for_caller(p, &what) ? image_reader_data(r, sink, err) : pump_stream(p, r, &what);
}

static bool is_idle(const struct image_pump *p)
{
	for (size_t i = 0; i < JOBS; i++)
		if (p->jobs[i].state != FREE)
			return false;
	return true;
}

int image_pump_wait(struct image_pump *p, int res, struct error **own, struct error **err)
{
	pthread_mutex_lock(&p->lock);
	while (!is_idle(p))
		pthread_cond_wait(&p->rest, &p->lock);
	if (p->failed) {
		res = p->failed;
		/* It is told once. */
		if (p->why)
			error_freep(own);
		error_merge(own, &p->why);
	}
	pthread_mutex_unlock(&p->lock);
	error_merge(err, own);
	return res;
}

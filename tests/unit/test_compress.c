/*
 * The choice of a level, against outputs and processors that are only numbers; compression
 * of what can and what cannot be compressed; and the order that the pipeline keeps.
 */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "image/compress-policy.h"
#include "image/compress.h"
#include "image/pipeline.h"

#define FRAME ((size_t)1 << 20)
#define FRAMES 1000U

/* Raw bytes a second of one processor, and the ratio, of each step. */
static const double speeds[COMPRESS_STEPS] = {
	0, 1200e6, 900e6, 750e6, 650e6, 500e6, 400e6, 280e6, 200e6, 110e6, 60e6, 25e6, 12e6, 3e6,
};
static const double ratios[COMPRESS_STEPS] = {
	1, 1.8, 2.1, 2.3, 2.5, 3, 3.1, 3.3, 3.35, 3.4, 3.5, 3.55, 3.6, 3.7,
};

struct outcome_of {
	double seconds;  /* for all frames, as the slower of both sides has it */
	double stored;   /* bytes */
	double steps;    /* the mean of the second half */
};

/* out: bytes a second; slow: the processors are so many times slower. */
static struct outcome_of simulate(double out, double slow, unsigned top)
{
	struct compress_policy p;
	struct outcome_of all = {0};

	compress_policy_init(&p, top, 2);
	for (unsigned i = 0; i < FRAMES; i++) {
		struct compress_sample s = {.step = p.step, .tried = p.step > 0, .raw = FRAME};
		double pack = p.step ? FRAME / speeds[p.step] * slow : 0;
		double stored = FRAME / ratios[p.step], write = stored / out;

		s.pack_ns = (uint64_t)(pack * 1e9);
		s.write_ns = (uint64_t)(write * 1e9);
		all.seconds += pack / 2 > write ? pack / 2 : write;
		all.stored += stored;
		all.steps += i >= FRAMES / 2 ? p.step / (FRAMES / 2.0) : 0;
		compress_policy_note(&p, &s);
		assert_true(p.step <= top);
	}
	return all;
}

static void test_never_slower_than_raw(void **state)
{
	static const double outs[] = {1e6, 10e6, 50e6, 100e6, 200e6, 300e6};

	(void)state;
	for (size_t i = 0; i < sizeof outs / sizeof *outs; i++)
		for (double slow = 1; slow < 20; slow *= 1.5)
			for (unsigned top = 1; top < COMPRESS_STEPS; top++) {
				double raw = FRAMES * FRAME / outs[i];
				double took = simulate(outs[i], slow, top).seconds;

				if (took > raw * 1.05)
					fail_msg("%g MB/s, %g times slower, top %u: %g s instead of %g",
						 outs[i] / 1e6, slow, top, took, raw);
			}
}

/* Whatever the output takes, it is not all stored raw on an idle machine. */
static void test_fast_output(void **state)
{
	struct outcome_of all = simulate(5e9, 1, compress_step_for(9));

	(void)state;
	assert_true(all.seconds < FRAMES * FRAME / 300e6);
	assert_true(FRAMES * FRAME / all.stored > 2.5);
}

static void test_slow_output_raises_the_level(void **state)
{
	unsigned top = compress_step_for(9);

	(void)state;
	assert_true(simulate(1e6, 1, top).steps > top - 0.1);
	assert_true(simulate(5e6, 1, top).stored < simulate(100e6, 1, top).stored);
	/* The one asked for is not passed. */
	assert_true(simulate(1e6, 1, compress_step_for(3)).steps < compress_step_for(3) + 0.1);
}

static void test_slow_processors_lower_it(void **state)
{
	(void)state;
	assert_true(simulate(300e6, 16, compress_step_for(9)).steps < compress_step_for(1));
	assert_true(simulate(300e6, 50, compress_step_for(9)).steps < 1);
}

static void test_steps(void **state)
{
	(void)state;
	for (int level = COMPRESS_MIN_LEVEL; level <= COMPRESS_MAX_LEVEL; level++) {
		unsigned step = compress_step_for(level);

		assert_true(compress_step_level(step) <= level);
		assert_true(step == COMPRESS_STEPS - 1 || compress_step_level(step + 1) > level);
	}
}

static void fill_noise(uint64_t *to, size_t len)
{
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < len / sizeof *to; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[i] = x;
	}
}

static void test_pack(void **state)
{
	uint64_t *data = malloc(FRAME), *back = malloc(FRAME);

	(void)state;
	for (int level = 0; level <= COMPRESS_MAX_LEVEL; level++) {
		struct compressor *c = compressor_new(level ? level : 9, level == 0, 1);
		struct compressed done;

		assert_non_null(c);
		fill_noise(data, FRAME);
		compressor_pack(c, 0, data, FRAME, &done);
		assert_int_equal(done.length, 0);
		assert_false(done.tried);
		/* Small frames are not probed. */
		compressor_pack(c, 0, data, 4096, &done);
		assert_int_equal(done.length, 0);
		assert_true(done.tried);

		/* Pages of noise, but each of them twice. */
		for (size_t page = 0; page < FRAME; page += 8192)
			memcpy((char *)data + page + 4096, (char *)data + page, 4096);
		compressor_pack(c, 0, data, FRAME, &done);
		if (done.tried && done.length)
			assert_true(done.length < FRAME * 5 / 8);

		for (size_t i = 0; i < FRAME / sizeof *data; i++)
			data[i] = i / 4;
		compressor_pack(c, 0, data, FRAME, &done);
		assert_true(done.tried && done.length > 0 && done.length < FRAME / 2);
		assert_int_equal(ZSTD_decompress(back, FRAME, done.at, done.length), FRAME);
		assert_memory_equal(back, data, FRAME);
		compressor_free(c);
	}
	free(data);
	free(back);
}

struct test_job {
	struct pipeline_job job;
	unsigned number;
	bool worked;
};

struct witness {
	unsigned next;       /* the job that must be finished next */
	unsigned fail_at;
	unsigned released;
	atomic_uint working, most; /* at the same time */
};

static void slow_work(void *arg, struct pipeline_job *job, unsigned worker)
{
	struct witness *w = arg;
	struct test_job *j = (struct test_job *)job;
	unsigned working = atomic_fetch_add(&w->working, 1) + 1;

	assert_true(worker < 3);
	if (working > atomic_load(&w->most))
		atomic_store(&w->most, working);
	usleep(j->number % 3 * 300);
	j->worked = true;
	atomic_fetch_sub(&w->working, 1);
}

static int check_turn(void *arg, struct pipeline_job *job, unsigned worker, struct error **err)
{
	struct witness *w = arg;
	struct test_job *j = (struct test_job *)job;

	(void)worker;
	assert_int_equal(j->number, w->next);
	assert_true(j->worked);
	w->next++;
	return j->number == w->fail_at ? (fail)(err, EDOM, "job %u", j->number) : 0;
}

static void count_released(void *arg, struct pipeline_job *job)
{
	(void)job;
	((struct witness *)arg)->released++;
}

static const struct pipeline_ops test_ops = {
	.work = slow_work, .finish = check_turn, .release = count_released,
};

static void test_order(void **state)
{
	static struct test_job jobs[60];
	struct witness w = {.fail_at = 1000};
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_new(&p, 3, &test_ops, &w), 0);
	for (unsigned i = 0; i < 60; i++) {
		jobs[i].number = i;
		pipeline_wait(p, 7);
		pipeline_add(p, &jobs[i].job, true);
	}
	pipeline_wait(p, 0);
	assert_int_equal(w.next, 60);
	assert_int_equal(w.released, 60);
	assert_int_equal(pipeline_failure(p, NULL), 0);
	assert_true(atomic_load(&w.most) <= 3);
	pipeline_free(p);
}

/* Jobs that are not ready hold up those that are; they become ready in their order. */
static void test_unready(void **state)
{
	struct test_job jobs[6] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3},
				   {.number = 4}, {.number = 5}};
	struct witness w = {.fail_at = 1000};
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_new(&p, 2, &test_ops, &w), 0);
	assert_false(pipeline_ready(p));
	for (unsigned i = 0; i < 6; i++)
		pipeline_add(p, &jobs[i].job, i % 2 == 0);
	assert_int_equal(pipeline_unready(p), 3);
	pipeline_wait(p, 5);
	usleep(2000);
	assert_false(jobs[1].worked || jobs[2].worked);
	for (unsigned i = 0; i < 3; i++)
		assert_true(pipeline_ready(p));
	assert_false(pipeline_ready(p));
	pipeline_wait(p, 0);
	assert_int_equal(w.next, 6);
	pipeline_free(p);
}

/* After a failure nothing is finished, everything is released, and the words are told once. */
static void test_failure(void **state)
{
	static struct test_job jobs[20];
	struct witness w = {.fail_at = 4};
	cleanup_error struct error *err = NULL, *again = NULL;
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_new(&p, 2, &test_ops, &w), 0);
	for (unsigned i = 0; i < 20; i++) {
		jobs[i].number = i;
		pipeline_add(p, &jobs[i].job, i < 15);
	}
	pipeline_wait(p, 5);
	assert_int_equal(w.next, 5);
	assert_int_equal(w.released, 15);
	assert_int_equal(pipeline_failure(p, &err), -EDOM);
	assert_string_equal(error_why(err, 0), "job 4");
	assert_int_equal(pipeline_failure(p, &again), -EDOM);
	assert_null(again);
	pipeline_free(p);
	assert_int_equal(w.released, 20);
}

/* A single job is done by who waits. */
static void test_single(void **state)
{
	struct test_job job = {.number = 0};
	struct witness w = {.fail_at = 1000};
	struct pipeline *p;

	(void)state;
	assert_int_equal(pipeline_new(&p, 2, &test_ops, &w), 0);
	pipeline_add(p, &job.job, true);
	usleep(2000);
	assert_false(job.worked);
	pipeline_wait(p, 0);
	assert_true(job.worked);
	pipeline_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_slower_than_raw),
		cmocka_unit_test(test_fast_output),
		cmocka_unit_test(test_slow_output_raises_the_level),
		cmocka_unit_test(test_slow_processors_lower_it),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unready),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "image/compress.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "image/compress-policy.h"

/*
 * Before all of a frame is compressed, pieces of it are, fast: noise is recognized at a small
 * part of the cost.  The pieces begin where pages do, so that pages that are alike show.
 */
#define PROBE_PIECES 16U
#define PROBE_PIECE 2048U
#define PROBE_SIZE (PROBE_PIECES * PROBE_PIECE)
#define PROBE_ALIGN 4096U
#define PROBE_LEVEL (-1)

/* High levels would take more memory than they are given: their tables are made smaller. */
#define TABLES_FROM_LEVEL 5
#define TABLE_LOG 18

struct worker {
	ZSTD_CCtx *zstd;
	int level;
	void *out;
	size_t room;
	uint8_t probe[PROBE_SIZE], probed[PROBE_SIZE];
};

struct compressor {
	bool adaptive;
	int level; /* when it is not adaptive */
	atomic_uint step;
	struct compress_policy policy;
	unsigned count;
	struct worker workers[];
};

struct compressor *compressor_new(int level, bool adaptive, unsigned workers)
{
	struct compressor *c = calloc(1, sizeof *c + workers * sizeof *c->workers);

	if (!c)
		return NULL;
	c->adaptive = adaptive;
	c->level = level;
	c->count = workers;
	compress_policy_init(&c->policy, compress_step_for(level), workers);
	atomic_init(&c->step, c->policy.step);
	return c;
}

void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->count; i++) {
		ZSTD_freeCCtx(c->workers[i].zstd);
		free(c->workers[i].out);
	}
	free(c);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Raw data can be read straight into place: a gain that is smaller than this is none. */
static size_t most(size_t len)
{
	return len - len / 16;
}

static bool prepare(struct worker *w, size_t room)
{
	if (w->room < room) {
		free(w->out);
		w->out = malloc(room);
		w->room = w->out ? room : 0;
	}
	if (!w->zstd)
		w->zstd = ZSTD_createCCtx();
	return w->zstd && w->room >= room;
}

static void set_level(struct worker *w, int level)
{
	int tables = level >= TABLES_FROM_LEVEL ? TABLE_LOG : 0;

	if (level == w->level)
		return;
	w->level = level;
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_hashLog, tables);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_chainLog, tables);
}

static size_t pack(struct worker *w, int level, const void *data, size_t len, void *to,
		   size_t room)
{
	size_t n;

	set_level(w, level);
	n = ZSTD_compress2(w->zstd, to, room, data, len);
	return ZSTD_isError(n) ? 0 : n;
}

static bool is_noise(struct worker *w, const uint8_t *data, size_t len)
{
	size_t stride = len / PROBE_PIECES & ~(size_t)(PROBE_ALIGN - 1);

	if (stride < 4 * (size_t)PROBE_ALIGN)
		return false;
	for (size_t i = 0; i < PROBE_PIECES; i++)
		memcpy(w->probe + i * PROBE_PIECE, data + i * stride, PROBE_PIECE);
	return pack(w, PROBE_LEVEL, w->probe, PROBE_SIZE, w->probed, most(PROBE_SIZE)) == 0;
}

void compressor_pack(struct compressor *c, unsigned worker, const void *data, size_t len,
		     struct compressed *ret)
{
	struct worker *w = &c->workers[worker];
	unsigned step = atomic_load_explicit(&c->step, memory_order_relaxed);
	uint64_t began = now();

	*ret = (struct compressed){.step = step};
	if ((c->adaptive && step == 0) || !prepare(w, most(len)) || is_noise(w, data, len))
		return;
	ret->length = pack(w, c->adaptive ? compress_step_level(step) : c->level, data, len,
			   w->out, most(len));
	ret->at = w->out;
	ret->tried = true;
	ret->ns = now() - began;
}

void compressor_note(struct compressor *c, const struct compressed *done, size_t raw,
		     uint64_t write_ns)
{
	struct compress_sample s = {
		.step = done->step,
		.tried = done->tried,
		.raw = raw,
		.pack_ns = done->ns,
		.write_ns = write_ns,
	};

	if (!c->adaptive)
		return;
	compress_policy_note(&c->policy, &s);
	atomic_store_explicit(&c->step, c->policy.step, memory_order_relaxed);
}

/*
 * Compression by zstd that several threads share, at a fixed level or at one that follows
 * the output: slow outputs get the time for higher levels, and no output is kept waiting for
 * longer than it takes to write the data as they are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPRESS_MIN_LEVEL 1
#define COMPRESS_MAX_LEVEL 19

struct compressor;

/* What came of one call, for compressor_note(). */
struct compressed {
	const void *at; /* the worker's until its next call */
	size_t length;  /* 0: compression gains nothing here, or too little */
	unsigned step;  /* the level, as an index */
	bool tried;     /* at that level, all of it */
	uint64_t ns;    /* that it took */
};

/* adaptive: level is the highest.  NULL: out of memory. */
struct compressor *compressor_new(int level, bool adaptive, unsigned workers);
void compressor_free(struct compressor *c);

/* Each worker, a number less than workers, for itself; they may all do so at a time. */
void compressor_pack(struct compressor *c, unsigned worker, const void *data, size_t len,
		     struct compressed *ret);

/* One at a time: what was made of raw bytes took the output write_ns. */
void compressor_note(struct compressor *c, const struct compressed *done, size_t raw,
		     uint64_t write_ns);

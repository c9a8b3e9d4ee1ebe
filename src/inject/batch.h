/*
 * A batch: an array of system calls that a target executes in one go.
 *
 * The memory that the two sides share is laid out as
 *	code page(s)   r-x   batch runner (arch/ARCH/batch.S)
 *	header         rw-   struct batch_header
 *	entries        rw-   BATCH_ENTRIES of struct batch_entry
 *	scratch        rw-   what arguments point to
 * The runner executes the entries in order, stores each result, and stops at the
 * first one that fails unless its flags allow that.
 *
 * This is an ABI between two programs: bump BATCH_VERSION and change batch.S
 * whenever a field of header or entry moves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BATCH_VERSION 1

struct batch_header {
	uint32_t version;
	uint32_t count;
	uint64_t executed; /* entries that did not end the batch */
	uint32_t signal;   /* the doorbell */
	uint32_t zero;
	uint64_t reserved[5];
};

enum batch_flags {
	BATCH_MAY_FAIL = 1,    /* go on with the next entry whatever this one returns */
	BATCH_CHILD_EXITS = 2, /* where it returns 0 it is a child that must not run on */
};

struct batch_entry {
	uint64_t nr;
	uint64_t args[6];
	int64_t ret;
	uint32_t flags;
	uint32_t refs; /* bit i: args[i] is the index of an earlier entry, whose result is meant */
};

_Static_assert(sizeof(struct batch_header) == 64, "batch.S knows this size");
_Static_assert(sizeof(struct batch_entry) == 72, "batch.S knows this size");
_Static_assert(offsetof(struct batch_entry, ret) == 56, "batch.S knows this offset");

#define BATCH_ENTRIES 1536u
#define BATCH_CODE_SIZE 4096u
#define BATCH_DATA_SIZE (512u * 1024u)
#define BATCH_REGION_SIZE (BATCH_CODE_SIZE + BATCH_DATA_SIZE)
/* The last page of the data is for the few entries that make a twin (inject/twin.h). */
#define BATCH_ASIDE_SIZE 4096u
#define BATCH_ASIDE_AT (BATCH_DATA_SIZE - BATCH_ASIDE_SIZE)
#define BATCH_SCRATCH_AT (sizeof(struct batch_header) + BATCH_ENTRIES * sizeof(struct batch_entry))

/* The tool's copy of a batch that is being built, or was run. */
struct batch {
	uint64_t region;        /* where the region stands (or will stand) in the target */
	unsigned char *data;    /* BATCH_DATA_SIZE bytes: header, entries, scratch */
	uint32_t count;
	size_t scratch_used;
	bool overflow;          /* something did not fit: batch_run() will say so */
};

/* -ENOMEM.  batch_free() also on a zeroed struct. */
int batch_init(struct batch *b, uint64_t region);
void batch_free(struct batch *b);
#define cleanup_batch __attribute__((cleanup(batch_free)))
/* Forgets the entries and the scratch memory; the region stays. */
void batch_clear(struct batch *b);
/* Forgets what was added since there were so many entries and so much scratch memory in use. */
void batch_truncate(struct batch *b, uint32_t count, size_t scratch_used);

/* Adds a call and returns its index.  batch_call(&b, 0, SYS_fcntl, fd, F_SETOWN, pid) */
uint32_t batch_add(struct batch *b, uint32_t flags, long nr, const uint64_t args[6]);
#define batch_call(b, flags, nr, ...) \
	batch_add(b, flags, nr, (const uint64_t[6]){__VA_ARGS__})
/* Argument arg of entry index becomes the result of the earlier entry source. */
void batch_refer(struct batch *b, uint32_t index, unsigned int arg, uint32_t source);

/* Scratch memory, 16-byte aligned: returns the address in the target. */
uint64_t batch_put(struct batch *b, const void *bytes, size_t size);
uint64_t batch_put_string(struct batch *b, const char *s);
uint64_t batch_space(struct batch *b, size_t size);
/* The tool's view of such an address; after a run, what the calls left there. */
void *batch_at(const struct batch *b, uint64_t address);

/* There is room for so many more entries and so much more scratch. */
bool batch_has_room(const struct batch *b, uint32_t entries, size_t scratch);

/* After a run: what the kernel returned (-errno for a failure). */
int64_t batch_result(const struct batch *b, uint32_t index);
struct batch_entry *batch_entry(const struct batch *b, uint32_t index);

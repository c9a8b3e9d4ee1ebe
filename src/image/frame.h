/*
 * The layout of an image: a file header, frames, and one END frame.  This is
 * docs/FORMAT.md in C: pure functions between bytes and structs, no input or
 * output.  All integers are little-endian; every hash is XXH3 without a seed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define IMAGE_MAJOR 1 /* a reader refuses any other */
#define IMAGE_MINOR 0 /* grows when something is added that old readers may pass over */

#define IMAGE_HEADER_SIZE 32
#define IMAGE_FRAME_HEADER_SIZE 32
#define IMAGE_END_SIZE 24

/* Types of frames.  1 to IMAGE_TYPE_RECORD_MAX are the tags of records. */
#define IMAGE_TYPE_RECORD_MAX 0xffffU
#define IMAGE_TYPE_MEMORY 0x10000U
#define IMAGE_TYPE_END 0x10001U

/*
 * Flags of frames.  A reader refuses a frame with an unknown flag among the
 * low 16 and ignores unknown ones among the high 16.
 */
#define IMAGE_FRAME_OPTIONAL 0x1U /* a reader that does not know the type may pass it over */
#define IMAGE_FRAME_KNOWN_FLAGS IMAGE_FRAME_OPTIONAL
#define IMAGE_FRAME_MUST_KNOW_FLAGS 0xffffU

/* Encodings of a memory frame. */
#define IMAGE_MEMORY_RAW 0U
#define IMAGE_MEMORY_ZSTD 1U
#define IMAGE_MEMORY_PROLOGUE_SIZE 16
#define IMAGE_RUN_SIZE 24

/* Limits.  They are part of the format. */
#define IMAGE_MAX_RECORD ((size_t)64 << 20)
#define IMAGE_MAX_RAW ((size_t)8 << 20) /* data of one memory frame, decompressed */
#define IMAGE_MAX_RUNS 1024U            /* of one memory frame */
#define IMAGE_MIN_PAGE_SHIFT 12U
#define IMAGE_MAX_PAGE_SHIFT 16U

struct image_header {
	uint16_t major, minor;
	uint16_t arch; /* e_machine of ELF */
	uint16_t page_shift;
	uint32_t flags; /* none is known yet; a reader refuses what it does not know */
};

struct image_frame_header {
	uint32_t type, flags;
	uint64_t length; /* of the payload */
	uint64_t hash;   /* XXH3-64 of the payload */
};

/* What an image is called: XXH3-128 over the file header and all frame headers before END. */
struct image_identity {
	uint64_t low, high;
};

struct image_end {
	struct image_identity identity;
	uint64_t frames; /* before this one */
};

/* A stretch of pages: length bytes at offset of a memory object (its meaning: records.proto). */
struct page_run {
	uint64_t object, offset, length;
};

/* What begins a memory frame's payload; the table of runs follows, then the data. */
struct image_memory {
	uint32_t run_count, encoding;
	uint64_t raw_length;
};

struct image_stats {
	uint64_t bytes;         /* of the whole image */
	uint64_t records;       /* frames with a record */
	uint64_t memory_frames; /* frames with pages */
	uint64_t pages;         /* saved pages */
	uint64_t raw_bytes;     /* their size */
	uint64_t stored_bytes;  /* what they take in the image */
};

/* The header that an image made here has. */
struct image_header image_header_here(void);

/* "x86-64" for 62; "an unknown machine" where there is no name. */
const char *image_arch_name(uint16_t arch);

void image_header_encode(const struct image_header *h, uint8_t ret[IMAGE_HEADER_SIZE]);
/* name is for the sentences.  Refuses what this program cannot read. */
int image_header_decode(const uint8_t *bytes, size_t len, const char *name,
			struct image_header *ret, struct error **err);

void image_frame_header_encode(const struct image_frame_header *h,
			       uint8_t ret[IMAGE_FRAME_HEADER_SIZE]);
/* False: the bytes do not match their hash. */
bool image_frame_header_decode(const uint8_t bytes[IMAGE_FRAME_HEADER_SIZE],
			       struct image_frame_header *ret);

void image_end_encode(const struct image_end *e, uint8_t ret[IMAGE_END_SIZE]);
void image_end_decode(const uint8_t bytes[IMAGE_END_SIZE], struct image_end *ret);

/* Where the data of a memory frame begins, counted from the start of its payload. */
size_t image_memory_data_at(const struct image_memory *m, uint64_t payload_offset,
			    unsigned page_shift);
void image_memory_encode(const struct image_memory *m, uint8_t ret[IMAGE_MEMORY_PROLOGUE_SIZE]);
/* NULL, or what is wrong with it. */
const char *image_memory_decode(const uint8_t bytes[IMAGE_MEMORY_PROLOGUE_SIZE],
				unsigned page_shift, struct image_memory *ret);
void image_runs_encode(const struct page_run *runs, size_t count, uint8_t *ret);
void image_runs_decode(const uint8_t *bytes, size_t count, struct page_run *ret);
/* NULL, or what is wrong: alignment, overflow, or a sum that is not raw_length. */
const char *image_runs_check(const struct page_run *runs, size_t count, uint64_t raw_length,
			     unsigned page_shift);

/* Which level comes next: pure arithmetic about speeds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Step 0 stores the data as they are. */
#define COMPRESS_STEPS 14

struct compress_policy {
	unsigned step, top;
	unsigned workers;
	unsigned seen;                  /* frames since the last change of the step */
	double raw, write_ns;           /* sums in which the past fades */
	double packed, pack_ns;         /* at the present step */
	double known[COMPRESS_STEPS];   /* raw bytes a second, measured; 0: not yet */
};

/* What happened to one frame. */
struct compress_sample {
	unsigned step;
	bool tried;        /* it was compressed as a whole */
	size_t raw;
	uint64_t pack_ns, write_ns;
};

/* zstd's level for a step that is not 0. */
int compress_step_level(unsigned step);
/* The highest step that is not above level. */
unsigned compress_step_for(int level);

/* top: the highest step. */
void compress_policy_init(struct compress_policy *p, unsigned top, unsigned workers);
/* Takes the sample in, and chooses the step of what is compressed next. */
void compress_policy_note(struct compress_policy *p, const struct compress_sample *s);

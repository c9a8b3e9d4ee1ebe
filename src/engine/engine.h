/* What the library does, without its public types. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "image/frame.h"
#include "task/rebuild.h"

enum checkpoint_then {
	THEN_CONTINUE, /* the target goes on */
	THEN_KILL,     /* it is ended once the image is durable */
	THEN_STOP,     /* it is left stopped, as by SIGSTOP */
};

struct checkpoint_options {
	const char *output; /* a path, "-": standard output */
	enum checkpoint_then then;
	bool only; /* without its descendants */
	int zstd_level; /* 0: not compressed */
	/* Called now and then with the bytes written so far; may be NULL. */
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
};

struct checkpoint_result {
	struct image_stats stats;
	uint64_t pause_ns; /* how long the target stood still */
};

int engine_checkpoint(pid_t pid, const struct checkpoint_options *o, struct checkpoint_result *ret,
		      struct error **err);

/* What would be saved, and what forbids it; the target is stopped for a moment and goes on. */
int engine_survey(pid_t pid, struct error **err);

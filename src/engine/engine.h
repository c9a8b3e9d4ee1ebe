/* What the library does, without its public types. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "image/frame.h"
#include "task/capture.h"
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
	bool zstd_adaptive; /* the level follows the output, up to that one */
	bool precopy;       /* memory is copied while the program runs, and only the rest in the pause */
	bool track;         /* what is written from now on is known to the next checkpoint */
	const char *parent; /* the image that has what was not written since; NULL: a whole image */
	struct external_policy external;
	/* Called now and then with the bytes written so far; may be NULL. */
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
};

struct checkpoint_result {
	struct image_stats stats;
	uint64_t pause_ns; /* how long the target stood still */
	uint64_t copied;   /* pages of its memory that were copied meanwhile */
};

int engine_checkpoint(pid_t pid, const struct checkpoint_options *o, struct checkpoint_result *ret,
		      struct error **err);

/* What would be saved, and what forbids it; the target is stopped for a moment and goes on. */
int engine_survey(pid_t pid, struct error **err);

/* What the kernel permits, tried for real on processes that are made for it: see audit.h. */
struct audit_options {
	bool json, colour;
	const char *cell; /* explain this one, instead of trying all; NULL: all */
};

struct audit_result {
	uint32_t tried, agree, stricter, looser, different, absent;
};

/* *ret is freed by the caller.  A kernel that differs is a result and no error. */
int engine_audit(const struct audit_options *o, char **ret, struct audit_result *result,
		 struct error **err);

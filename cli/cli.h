/* What the commands have in common. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "stasis.h"

enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
};

/* A row of the command table. */
struct command {
	const char *name;
	const char *usage; /* its arguments */
	const char *about; /* one line */
	int (*run)(int argc, char **argv);
};

extern const struct command command_checkpoint, command_restore, command_show, command_verify;

/* Says what a call did wrong, and where to read on; returns EXIT_USAGE. */
int usage_error(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the command's usage on stdout; returns EXIT_DONE. */
int print_usage(const struct command *c);

/* Prints every reason of err as "stasis: WHAT: WHY" with its mend; frees it; returns the exit code. */
int report(const char *what, stasis_error *err);

/* A process number, or -1. */
pid_t parse_pid(const char *s);

/* "12.3 MiB" in a buffer of 32 bytes. */
const char *format_size(char *buf, unsigned long long bytes);

/* What the commands have in common. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
extern const struct command command_doctor, command_audit;

/* Says what a call did wrong, and where to read on; returns EXIT_USAGE. */
int usage_error(const struct command *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what getopt_long(3) did not take: got is what it returned. */
int option_error(const struct command *c, int got, char *const argv[]);
/* Prints the command's usage on stdout; returns EXIT_DONE. */
int print_usage(const struct command *c);

/* Prints every reason of err as "stasis: WHAT: WHY" with its mend; frees it: the exit code. */
int report(const char *what, stasis_error *err);

/* s as a JSON string, with its quotes. */
void print_json_string(FILE *to, const char *s);

/* A process number, or -1. */
pid_t parse_pid(const char *s);

/* "12.3 MiB" in a buffer of 32 bytes. */
const char *format_size(char *buf, unsigned long long bytes);

/* The library raises capabilities around the calls that need them; else none is effective. */
void lower_capabilities(void);
/* No more of them will be needed. */
void drop_capabilities(void);

/* A line on a terminal that tells how far long work has come; nothing anywhere else. */
struct progress {
	const char *doing;    /* "4242.stasis" */
	int64_t began, shown; /* CLOCK_MONOTONIC in milliseconds */
	bool visible;
};
void progress_begin(struct progress *p, const char *doing);
/* For the options of checkpoint and restore: arg is a struct progress. */
void progress_bytes(void *arg, uint64_t bytes);
/* The line is gone. */
void progress_end(struct progress *p);

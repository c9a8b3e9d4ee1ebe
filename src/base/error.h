/*
 * An error is an object: an outcome (which exit code it asks for) and one or
 * more reasons, each a sentence and, where there is one, what would mend it.
 *
 * Functions return a negative errno and fill *err.  They never print.  An
 * err pointer may be NULL when the caller does not care for the words.
 * The same object collects obstacles: refuse() may be called many times, so
 * that a user hears everything that is wrong at once.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum outcome {
	OUTCOME_FAILED = 1,  /* something was tried and did not work */
	OUTCOME_USAGE = 2,   /* the call itself makes no sense */
	OUTCOME_REFUSED = 3, /* nothing was touched */
};

struct error;

/* Sets *err (replacing nothing: an earlier reason stays first) and returns -errnum. */
int fail(struct error **err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As fail(), with ": strerror(errnum)" at the end. */
int fail_errno(struct error **err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds an obstacle; mend may be NULL.  Returns -errnum. */
int refuse(struct error **err, int errnum, const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "outer: " before every reason.  Returns r, so that it can end a function. */
int error_wrap(struct error **err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Moves all reasons of *from to *err; the worse outcome wins (refused stays only if both are). */
void error_merge(struct error **err, struct error **from);

void error_free(struct error *err);
void error_freep(struct error **err);

enum outcome error_outcome(const struct error *err);
void error_set_outcome(struct error *err, enum outcome outcome);
int error_errno(const struct error *err);
size_t error_count(const struct error *err);
const char *error_why(const struct error *err, size_t i);
const char *error_mend(const struct error *err, size_t i); /* NULL: nothing known */

#define cleanup_error __attribute__((cleanup(error_freep)))

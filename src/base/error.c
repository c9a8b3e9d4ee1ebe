#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reason {
	char *why;
	char *mend;
};

struct error {
	enum outcome outcome;
	int errnum;
	size_t count;
	struct reason *reasons;
};

/* Out of memory must still be an error that can be told: it uses this one. */
static const char out_of_memory[] = "out of memory";

static struct error *error_get(struct error **err, enum outcome outcome, int errnum)
{
	if (*err)
		return *err;
	*err = calloc(1, sizeof **err);
	if (*err) {
		(*err)->outcome = outcome;
		(*err)->errnum = errnum;
	}
	return *err;
}

/* Takes ownership of why. */
static void error_add(struct error *e, char *why, const char *mend)
{
	struct reason *grown = reallocarray(e->reasons, e->count + 1, sizeof *grown);

	if (!grown) {
		free(why);
		return;
	}
	e->reasons = grown;
	grown[e->count].why = why;
	grown[e->count].mend = mend ? strdup(mend) : NULL;
	e->count++;
}

static char *format(const char *fmt, va_list ap)
{
	char *s = NULL;

	return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

int fail(struct error **err, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (err && error_get(err, OUTCOME_FAILED, errnum)) {
		(*err)->outcome = OUTCOME_FAILED;
		va_start(ap, fmt);
		error_add(*err, format(fmt, ap), NULL);
		va_end(ap);
	}
	return -errnum;
}

int fail_errno(struct error **err, int errnum, const char *fmt, ...)
{
	va_list ap;
	char *inner, *whole = NULL;

	if (!err || !error_get(err, OUTCOME_FAILED, errnum))
		return -errnum;
	(*err)->outcome = OUTCOME_FAILED;
	va_start(ap, fmt);
	inner = format(fmt, ap);
	va_end(ap);
	if (asprintf(&whole, "%s: %s", inner ? inner : "", strerror(errnum)) < 0)
		whole = NULL;
	free(inner);
	error_add(*err, whole, NULL);
	return -errnum;
}

int refuse(struct error **err, int errnum, const char *mend, const char *fmt, ...)
{
	va_list ap;

	if (err && error_get(err, OUTCOME_REFUSED, errnum)) {
		va_start(ap, fmt);
		error_add(*err, format(fmt, ap), mend);
		va_end(ap);
	}
	return -errnum;
}

int error_wrap(struct error **err, int r, const char *fmt, ...)
{
	va_list ap;
	char *outer;

	if (!err || !*err)
		return r;
	va_start(ap, fmt);
	outer = format(fmt, ap);
	va_end(ap);
	for (size_t i = 0; outer && i < (*err)->count; i++) {
		char *whole;

		if (asprintf(&whole, "%s: %s", outer, error_why(*err, i)) < 0)
			continue;
		free((*err)->reasons[i].why);
		(*err)->reasons[i].why = whole;
	}
	free(outer);
	return r;
}

void error_merge(struct error **err, struct error **from)
{
	if (!*from)
		return;
	if (!err) {
		error_freep(from);
		return;
	}
	if (!*err) {
		*err = *from;
		*from = NULL;
		return;
	}
	for (size_t i = 0; i < (*from)->count; i++) {
		error_add(*err, (*from)->reasons[i].why, (*from)->reasons[i].mend);
		(*from)->reasons[i].why = NULL;
	}
	if ((*from)->outcome < (*err)->outcome)
		(*err)->outcome = (*from)->outcome;
	error_freep(from);
}

void error_free(struct error *err)
{
	if (!err)
		return;
	for (size_t i = 0; i < err->count; i++) {
		free(err->reasons[i].why);
		free(err->reasons[i].mend);
	}
	free(err->reasons);
	free(err);
}

void error_freep(struct error **err)
{
	error_free(*err);
	*err = NULL;
}

enum outcome error_outcome(const struct error *err)
{
	return err ? err->outcome : OUTCOME_FAILED;
}

void error_set_outcome(struct error *err, enum outcome outcome)
{
	if (err)
		err->outcome = outcome;
}

int error_errno(const struct error *err)
{
	return err ? err->errnum : 0;
}

size_t error_count(const struct error *err)
{
	return err ? err->count : 0;
}

const char *error_why(const struct error *err, size_t i)
{
	if (!err || i >= err->count || !err->reasons[i].why)
		return out_of_memory;
	return err->reasons[i].why;
}

const char *error_mend(const struct error *err, size_t i)
{
	return err && i < err->count ? err->reasons[i].mend : NULL;
}

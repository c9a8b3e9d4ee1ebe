/*
 * A cursor over a text that need not end with NUL.  Failure sticks: after the
 * first thing that is not as expected, bad is set, and a parser needs to look
 * only once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct scan {
	const char *at, *end;
	bool bad;
};

static inline struct scan scan_of(const char *text, size_t len)
{
	return (struct scan){text, text + len, false};
}

static inline size_t scan_left(const struct scan *s)
{
	return (size_t)(s->end - s->at);
}

/* The next line without its newline; false at the end of the text. */
bool scan_line(struct scan *text, struct scan *ret_line);

/* "Key:" at the start of a line; s then stands behind it.  False: there is no colon. */
bool scan_key(struct scan *s, struct scan *ret_key);

/* The whole of what is left is this. */
bool scan_is(const struct scan *s, const char *literal);

/* Steps over literal if it is next. */
bool scan_skip(struct scan *s, const char *literal);

/* It must be next. */
void scan_expect(struct scan *s, const char *literal);

/* Spaces and tabs. */
void scan_blanks(struct scan *s);

/* The next run of anything but blanks, after blanks; empty at the end. */
struct scan scan_word(struct scan *s);

/* Up to the next single space, which is stepped over.  At the end of the text: bad. */
struct scan scan_field(struct scan *s);

/* One character, or NUL and bad. */
char scan_char(struct scan *s);

/* Blanks, then digits; at most max. */
uint64_t scan_number(struct scan *s, unsigned int base, uint64_t max);

#define scan_dec(s) scan_number(s, 10, UINT64_MAX)
#define scan_hex(s) scan_number(s, 16, UINT64_MAX)
#define scan_u32(s) ((uint32_t)scan_number(s, 10, UINT32_MAX))
#define scan_hex32(s) ((uint32_t)scan_number(s, 16, UINT32_MAX))
#define scan_oct32(s) ((uint32_t)scan_number(s, 8, UINT32_MAX))

/* Blanks, an optional minus, decimal digits. */
int64_t scan_signed(struct scan *s);
int scan_int(struct scan *s);

/* "  12 kB", as bytes. */
uint64_t scan_kilobytes(struct scan *s);

/* A copy, or NULL when out of memory. */
char *scan_dup(const struct scan *s);

/* Undoes the \n and \\ of a task's name; cuts what is too long. */
void scan_task_name(struct scan *s, char *ret, size_t size);

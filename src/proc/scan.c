#include "proc/scan.h"

#include <limits.h>
#include <string.h>

bool scan_line(struct scan *text, struct scan *ret_line)
{
	const char *newline;

	if (text->at == text->end)
		return false;
	newline = memchr(text->at, '\n', scan_left(text));
	*ret_line = (struct scan){text->at, newline ? newline : text->end, false};
	text->at = newline ? newline + 1 : text->end;
	return true;
}

bool scan_key(struct scan *s, struct scan *ret_key)
{
	const char *colon = NULL;

	if (s->at != s->end)
		colon = memchr(s->at, ':', scan_left(s));
	if (!colon)
		return false;
	*ret_key = (struct scan){s->at, colon, false};
	s->at = colon + 1;
	return true;
}

bool scan_is(const struct scan *s, const char *literal)
{
	size_t len = strlen(literal);

	return scan_left(s) == len && memcmp(s->at, literal, len) == 0;
}

bool scan_skip(struct scan *s, const char *literal)
{
	size_t len = strlen(literal);

	if (scan_left(s) < len || memcmp(s->at, literal, len) != 0)
		return false;
	s->at += len;
	return true;
}

void scan_expect(struct scan *s, const char *literal)
{
	if (!scan_skip(s, literal))
		s->bad = true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void scan_blanks(struct scan *s)
{
	while (s->at != s->end && is_blank(*s->at))
		s->at++;
}

struct scan scan_word(struct scan *s)
{
	struct scan word;

	scan_blanks(s);
	word = (struct scan){s->at, s->at, false};
	while (s->at != s->end && !is_blank(*s->at))
		s->at++;
	word.end = s->at;
	return word;
}

struct scan scan_field(struct scan *s)
{
	struct scan field = {s->at, s->end, false};
	const char *space;

	if (s->at == s->end) {
		s->bad = true;
		return field;
	}
	space = memchr(s->at, ' ', scan_left(s));
	if (space)
		field.end = space;
	s->at = space ? space + 1 : s->end;
	return field;
}

char scan_char(struct scan *s)
{
	if (s->at == s->end) {
		s->bad = true;
		return '\0';
	}
	return *s->at++;
}

/* The worth of a digit, or something larger than any base. */
static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return UINT_MAX;
}

uint64_t scan_number(struct scan *s, unsigned int base, uint64_t max)
{
	const char *first;
	uint64_t value = 0;

	scan_blanks(s);
	for (first = s->at; s->at != s->end; s->at++) {
		unsigned int d = digit(*s->at);

		if (d >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, d, &value) || value > max) {
			s->bad = true;
			return 0;
		}
	}
	if (s->at == first) {
		s->bad = true;
		return 0;
	}
	return value;
}

int64_t scan_signed(struct scan *s)
{
	uint64_t magnitude;

	scan_blanks(s);
	if (!scan_skip(s, "-"))
		return (int64_t)scan_number(s, 10, INT64_MAX);
	magnitude = scan_number(s, 10, (uint64_t)INT64_MAX + 1);
	return (int64_t)(0 - magnitude);
}

int scan_int(struct scan *s)
{
	int64_t value = scan_signed(s);

	if (value < INT_MIN || value > INT_MAX) {
		s->bad = true;
		return 0;
	}
	return (int)value;
}

uint64_t scan_kilobytes(struct scan *s)
{
	uint64_t value = scan_number(s, 10, UINT64_MAX / 1024);

	scan_expect(s, " kB");
	return value * 1024;
}

char *scan_dup(const struct scan *s)
{
	return strndup(s->at, scan_left(s));
}

void scan_task_name(struct scan *s, char *ret, size_t size)
{
	size_t n = 0;

	while (s->at != s->end && n + 1 < size) {
		if (scan_skip(s, "\\n"))
			ret[n++] = '\n';
		else if (scan_skip(s, "\\\\"))
			ret[n++] = '\\';
		else
			ret[n++] = *s->at++;
	}
	ret[n] = '\0';
}

/* Strings: scoped freeing and a growing buffer. */
#pragma once

#include <stddef.h>
#include <stdbool.h>

void free_strp(char **s);
#define cleanup_free __attribute__((cleanup(free_strp)))

/* As asprintf(3), but returns the string, or NULL when out of memory. */
char *str_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* A growing text.  After a failure to allocate it stays as it was and failed is set. */
struct text {
	char *bytes; /* NUL-terminated, or NULL while empty */
	size_t len;
	size_t room;
	bool failed;
};

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *t, const void *bytes, size_t len);
void text_free(struct text *t);
#define cleanup_text __attribute__((cleanup(text_free)))

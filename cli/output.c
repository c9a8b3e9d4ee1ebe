#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

int usage_error(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "stasis: %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n    usage: stasis %s %s\n", c->name, c->usage);
	return EXIT_USAGE;
}

int option_error(const struct command *c, int got, char *const argv[])
{
	const char *word = argv[optind - 1];

	return got == ':' ? usage_error(c, "%s needs a value", word)
			  : usage_error(c, "there is no option %s, or it takes no value", word);
}

int print_usage(const struct command *c)
{
	printf("usage: stasis %s %s\n%s\n", c->name, c->usage, c->about);
	return EXIT_DONE;
}

int report(const char *what, stasis_error *err)
{
	int code = (int)stasis_error_outcome(err);

	for (size_t i = 0; i < stasis_error_count(err); i++) {
		const char *mend = stasis_error_mend(err, i);

		fprintf(stderr, "stasis: %s: %s\n", what, stasis_error_why(err, i));
		if (mend)
			fprintf(stderr, "    %s\n", mend);
	}
	if (stasis_error_count(err) == 0)
		fprintf(stderr, "stasis: %s: failed\n", what);
	stasis_error_free(err);
	return code;
}

/* How many bytes of s are one character of UTF-8; 0: none are (names of files can be anything). */
static size_t utf8_length(const char *s)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void print_json_string(FILE *to, const char *s)
{
	fputc('"', to);
	while (*s) {
		size_t n = utf8_length(s);

		if (n == 0)
			fputs("\\ufffd", to);
		else if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if (n == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f))
			fprintf(to, "\\u%04x", (unsigned int)*s);
		else
			fwrite(s, 1, n, to);
		s += n ? n : 1;
	}
	fputc('"', to);
}

pid_t parse_pid(const char *s)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	return errno || end == s || *end || n <= 0 || n > INT_MAX ? -1 : (pid_t)n;
}

const char *format_size(char *buf, unsigned long long bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes;
	size_t u = 0;

	while (n >= 1024 && u + 1 < sizeof units / sizeof *units) {
		n /= 1024;
		u++;
	}
	snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
	return buf;
}

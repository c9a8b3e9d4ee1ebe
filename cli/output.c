#include <errno.h>
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

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static bool wants_colour(void)
{
	const char *term = getenv("TERM");
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

static int run_audit(struct stasis_audit_options *options)
{
	struct stasis_audit_result result = {.size = sizeof result};
	stasis_error *err = NULL;
	char *text;

	if (stasis_audit(options, &text, &result, &err) < 0)
		return report("audit", err);
	fputs(text, stdout);
	free(text);
	return result.stricter || result.looser || result.different ? EXIT_FAILED : EXIT_DONE;
}

static int run(int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'},
		{"explain", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct stasis_audit_options options = {.size = sizeof options};
	int c;

	while ((c = getopt_long(argc, argv, ":je:h", longs, NULL)) != -1) {
		if (c == 'h')
			return print_usage(&command_audit);
		if (c == 'j')
			options.format = STASIS_JSON;
		else if (c == 'e')
			options.cell = optarg;
		else
			return option_error(&command_audit, c, argv);
	}
	if (argc != optind)
		return usage_error(&command_audit, "it takes no arguments");
	options.colour = wants_colour();
	return run_audit(&options);
}

const struct command command_audit = {
	"audit",
	"[--json] [--explain CELL]",
	"tries what this kernel permits to whom, and tells where it differs from its policy",
	run,
};

#include <getopt.h>
#include <stdlib.h>

#include "cli.h"

static int examine(pid_t pid, enum stasis_format format)
{
	static const int codes[] = {
		[STASIS_WELL] = EXIT_DONE,
		[STASIS_UNUSABLE] = EXIT_FAILED,
		[STASIS_OBSTACLES] = EXIT_REFUSED,
	};
	stasis_error *err = NULL;
	char *text;
	int r = stasis_doctor(pid, format, &text, &err);

	if (r < 0)
		return report("doctor", err);
	fputs(text, stdout);
	free(text);
	return codes[r];
}

static int run(int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	enum stasis_format format = STASIS_SUMMARY;
	pid_t pid = 0;
	int c;

	while ((c = getopt_long(argc, argv, ":jh", longs, NULL)) != -1) {
		if (c == 'h')
			return print_usage(&command_doctor);
		if (c != 'j')
			return option_error(&command_doctor, c, argv);
		format = STASIS_JSON;
	}
	if (argc - optind > 1)
		return usage_error(&command_doctor, "one process number at most");
	if (argc - optind == 1)
		pid = parse_pid(argv[optind]);
	if (pid < 0)
		return usage_error(&command_doctor, "'%s' is no process number", argv[optind]);
	return examine(pid, format);
}

const struct command command_doctor = {
	"doctor",
	"[--json] [PID]",
	"tells what works here, or for a process, and what would make the rest work",
	run,
};

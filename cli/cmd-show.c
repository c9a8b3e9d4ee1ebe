#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

static int show_image(const char *image, enum stasis_format format)
{
	stasis_error *err = NULL;
	char *text;

	if (stasis_show(image, format, &text, &err) < 0)
		return report("show", err);
	fputs(text, stdout);
	free(text);
	return EXIT_DONE;
}

static int show_process(pid_t pid)
{
	stasis_error *err = NULL;

	if (stasis_survey(pid, &err) < 0)
		return report("show", err);
	printf("process %d can be checkpointed: nothing is in the way\n", pid);
	return EXIT_DONE;
}

static int run(int argc, char **argv)
{
	static const struct option longs[] = {
		{"json", no_argument, NULL, 'j'},
		{"all", no_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	enum stasis_format format = STASIS_SUMMARY;
	int c;

	while ((c = getopt_long(argc, argv, "+:ajh", longs, NULL)) != -1) {
		if (c == 'h')
			return print_usage(&command_show);
		if (c != 'j' && c != 'a')
			return usage_error(&command_show, "unknown option '%s'", argv[optind - 1]);
		format = c == 'j' ? STASIS_JSON : STASIS_RECORDS;
	}
	if (argc - optind != 1)
		return usage_error(&command_show, "an image or a process number is needed");
	/* A file of that name comes first; a number that is no file is a process. */
	if (access(argv[optind], F_OK) < 0 && parse_pid(argv[optind]) > 0)
		return show_process(parse_pid(argv[optind]));
	return show_image(argv[optind], format);
}

const struct command command_show = {
	"show",
	"[--all | --json] IMAGE | PID",
	"tells what is in an image, or what is in the way of saving a process",
	run,
};

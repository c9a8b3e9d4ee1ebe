#include <getopt.h>
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

static void print_obstacles(pid_t pid, const stasis_error *err)
{
	printf("{\n  \"pid\": %d,\n  \"obstacles\": [", pid);
	for (size_t i = 0; i < stasis_error_count(err); i++) {
		const char *mend = stasis_error_mend(err, i);

		fputs(i ? ",\n    {\"why\": " : "\n    {\"why\": ", stdout);
		print_json_string(stdout, stasis_error_why(err, i));
		fputs(", \"mend\": ", stdout);
		if (mend)
			print_json_string(stdout, mend);
		else
			fputs("null", stdout);
		fputs("}", stdout);
	}
	printf("%s]\n}\n", stasis_error_count(err) ? "\n  " : "");
}

static int show_process(pid_t pid, enum stasis_format format)
{
	stasis_error *err = NULL;
	int r = stasis_survey(pid, &err);

	if (format == STASIS_JSON)
		print_obstacles(pid, err);
	if (r < 0)
		return report("show", err);
	if (format != STASIS_JSON)
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

	while ((c = getopt_long(argc, argv, ":ajh", longs, NULL)) != -1) {
		if (c == 'h')
			return print_usage(&command_show);
		if (c != 'j' && c != 'a')
			return option_error(&command_show, c, argv);
		format = c == 'j' ? STASIS_JSON : STASIS_RECORDS;
	}
	if (argc - optind != 1)
		return usage_error(&command_show, "one image or process number is needed");
	/* A file of that name comes first; a number that is no file is a process. */
	if (access(argv[optind], F_OK) < 0 && parse_pid(argv[optind]) > 0)
		return show_process(parse_pid(argv[optind]), format);
	return show_image(argv[optind], format);
}

const struct command command_show = {
	"show",
	"[--all | --json] IMAGE | PID",
	"tells what is in an image, or what is in the way of saving a process",
	run,
};

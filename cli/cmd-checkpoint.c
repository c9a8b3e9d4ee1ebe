#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct arguments {
	const char *image;
	char default_image[32];
	pid_t pid;
	bool json;
	struct stasis_checkpoint_options options;
};

static int parse(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"kill", no_argument, NULL, 'k'},
		{"leave-stopped", no_argument, NULL, 's'},
		{"only", no_argument, NULL, '1'},
		{"compress", optional_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+:o:h", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			a->image = optarg;
			break;
		case 'k':
		case 's':
			if (a->options.then != STASIS_CONTINUE)
				return usage_error(&command_checkpoint,
						   "--kill and --leave-stopped exclude each other");
			a->options.then = c == 'k' ? STASIS_KILL : STASIS_LEAVE_STOPPED;
			break;
		case '1': /* one process is all that is saved anyway */
			break;
		case 'c':
			a->options.compress = optarg ? atoi(optarg) : 3;
			if (a->options.compress < 1 || a->options.compress > 19)
				return usage_error(&command_checkpoint,
						   "the compression level goes from 1 to 19");
			break;
		case 'j':
			a->json = true;
			break;
		case 'h':
			return -1;
		default:
			return usage_error(&command_checkpoint, "unknown option, or one without its value: '%s'",
					   argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error(&command_checkpoint, "one process number is needed");
	a->pid = parse_pid(argv[optind]);
	if (a->pid < 0)
		return usage_error(&command_checkpoint, "'%s' is not a process number", argv[optind]);
	if (!a->image) {
		snprintf(a->default_image, sizeof a->default_image, "%d.stasis", a->pid);
		a->image = a->default_image;
	}
	return 0;
}

static void print_result(const struct arguments *a, const struct stasis_checkpoint_result *r)
{
	char size[32];

	if (a->json)
		/* With the image on stdout there is no place for a document. */
		fprintf(strcmp(a->image, "-") == 0 ? stderr : stdout,
			"{\"pid\": %d, \"bytes\": %llu, \"memory\": %llu, \"pause_ns\": %llu}\n", a->pid,
			(unsigned long long)r->bytes, (unsigned long long)r->memory,
			(unsigned long long)r->pause);
	else if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s: %s, the program stood still for %.1f ms\n", a->image,
			format_size(size, r->bytes), (double)r->pause / 1e6);
}

static int run(int argc, char **argv)
{
	struct arguments a = {.options = {.size = sizeof a.options}};
	struct stasis_checkpoint_result result = {.size = sizeof result};
	stasis_error *err = NULL;
	int r = parse(&a, argc, argv);

	if (r < 0)
		return print_usage(&command_checkpoint);
	if (r > 0)
		return r;
	if (stasis_checkpoint(a.pid, a.image, &a.options, &result, &err) < 0)
		return report("checkpoint", err);
	print_result(&a, &result);
	return EXIT_DONE;
}

const struct command command_checkpoint = {
	"checkpoint",
	"[-o IMAGE] [--kill | --leave-stopped] [--compress[=LEVEL]] [--json] PID",
	"saves a running program in a file; it goes on unless told otherwise",
	run,
};

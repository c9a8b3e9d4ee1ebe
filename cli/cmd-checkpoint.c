#include <getopt.h>
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

static int parse_level(struct arguments *a, const char *s)
{
	char *end;
	long level = s ? strtol(s, &end, 10) : STASIS_COMPRESS_AUTO;

	if (s && (end == s || *end || level < 1 || level > 19))
		return usage_error(&command_checkpoint,
				   "the compression level goes from 1 to 19, '%s' is none", s);
	a->options.compress = (int)level;
	return 0;
}

/* KIND=HOW, several of them with commas between. */
static int parse_external(struct arguments *a, const char *s)
{
	static const struct {
		const char *text;
		bool pipe;
		enum stasis_external how;
	} words[] = {
		{"unix=close", false, STASIS_EXTERNAL_CLOSE},
		{"unix=reconnect", false, STASIS_EXTERNAL_RECONNECT},
		{"unix=inherit", false, STASIS_EXTERNAL_INHERIT},
		{"pipe=close", true, STASIS_EXTERNAL_CLOSE},
		{"pipe=inherit", true, STASIS_EXTERNAL_INHERIT},
	};

	for (size_t len; *s; s += len + (s[len] == ',')) {
		size_t i = 0;

		len = strcspn(s, ",");
		while (i < sizeof words / sizeof *words &&
		       (strlen(words[i].text) != len || strncmp(words[i].text, s, len) != 0))
			i++;
		if (i == sizeof words / sizeof *words)
			return usage_error(&command_checkpoint, "--external is unix=close, unix=reconnect, "
					   "unix=inherit, pipe=close or pipe=inherit, not '%.*s'",
					   (int)len, s);
		if (words[i].pipe)
			a->options.external_pipe = words[i].how;
		else
			a->options.external_unix = words[i].how;
	}
	return 0;
}

static int parse_option(struct arguments *a, int c, char *const argv[])
{
	switch (c) {
	case 'o':
		a->image = optarg;
		return 0;
	case 'k':
	case 's':
		if (a->options.then != STASIS_CONTINUE &&
		    (a->options.then == STASIS_KILL) != (c == 'k'))
			return usage_error(&command_checkpoint,
					   "--kill and --leave-stopped exclude each other");
		a->options.then = c == 'k' ? STASIS_KILL : STASIS_LEAVE_STOPPED;
		return 0;
	case '1':
		a->options.only = 1;
		return 0;
	case 'c':
		return parse_level(a, optarg);
	case 'e':
		return parse_external(a, optarg);
	case 'j':
		a->json = true;
		return 0;
	case 't':
		a->options.track = 1;
		return 0;
	case 'p':
		a->options.parent = optarg;
		return 0;
	case 'y':
		a->options.precopy = 1;
		return 0;
	default:
		return option_error(&command_checkpoint, c, argv);
	}
}

/* 0, the exit code, or -1: only help is wanted. */
static int parse(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"kill", no_argument, NULL, 'k'},
		{"leave-stopped", no_argument, NULL, 's'},
		{"only", no_argument, NULL, '1'},
		{"compress", optional_argument, NULL, 'c'},
		{"external", required_argument, NULL, 'e'},
		{"json", no_argument, NULL, 'j'},
		{"track", no_argument, NULL, 't'},
		{"parent", required_argument, NULL, 'p'},
		{"precopy", no_argument, NULL, 'y'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c, r;

	while ((c = getopt_long(argc, argv, ":o:h", longs, NULL)) != -1) {
		if (c == 'h')
			return -1;
		r = parse_option(a, c, argv);
		if (r)
			return r;
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
	if (strcmp(a->image, "-") == 0 && a->json)
		return usage_error(&command_checkpoint,
				   "with the image on standard output, --json has no place left");
	return 0;
}

static void print_result(const struct arguments *a, const struct stasis_checkpoint_result *r)
{
	char size[32];

	if (a->json) {
		printf("{\"pid\": %d, \"image\": ", a->pid);
		print_json_string(stdout, a->image);
		printf(", \"bytes\": %llu, \"memory\": %llu, \"pause_ns\": %llu, "
		       "\"copied\": %llu}\n",
		       (unsigned long long)r->bytes, (unsigned long long)r->memory,
		       (unsigned long long)r->pause, (unsigned long long)r->copied);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s: %s, the program stood still for %.1f ms\n",
			strcmp(a->image, "-") == 0 ? "image" : a->image, format_size(size, r->bytes),
			(double)r->pause / 1e6);
}

static int run(int argc, char **argv)
{
	struct progress progress;
	struct arguments a = {.options = {.size = sizeof a.options,
					  .progress = progress_bytes,
					  .progress_arg = &progress}};
	struct stasis_checkpoint_result result = {.size = sizeof result};
	stasis_error *err = NULL;
	int r = parse(&a, argc, argv);

	if (r < 0)
		return print_usage(&command_checkpoint);
	if (r > 0)
		return r;
	progress_begin(&progress, a.image);
	r = stasis_checkpoint(a.pid, a.image, &a.options, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report("checkpoint", err);
	print_result(&a, &result);
	return EXIT_DONE;
}

const struct command command_checkpoint = {
	"checkpoint",
	"[-o IMAGE] [--kill | --leave-stopped] [--only] [--compress[=LEVEL]] "
	"[--track] [--parent IMAGE] [--precopy] [--external KIND=HOW] [--json] PID",
	"saves a running program in a file; it goes on unless told otherwise",
	run,
};

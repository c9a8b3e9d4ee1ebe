#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "foreground.h"

#define INHERIT_MAX 256

struct arguments {
	bool detach;
	size_t copies; /* 0: --clone was not given */
	const char *image;
	const char *standard[3];
	bool made[3]; /* the file was not there before */
	struct stasis_inherit inherit[INHERIT_MAX];
	bool opened[INHERIT_MAX]; /* by us */
	struct stasis_restore_options options;
};

static int parse_policy(struct arguments *a, const char *s)
{
	static const char *const names[] = {"auto", "same", "private", "new"};

	for (int i = 0; i < 4; i++)
		if (strcmp(s, names[i]) == 0) {
			a->options.pid = (enum stasis_pid)i;
			return 0;
		}
	return usage_error(&command_restore, "--pid is auto, same, private or new, not '%s'", s);
}

/* A number at *s, which goes behind it; -1: there is none. */
static int take_number(const char **s)
{
	char *end;
	long n = strtol(*s, &end, 10);

	if (end == *s || **s < '0' || **s > '9' || n > INT_MAX)
		return -1;
	*s = end;
	return (int)n;
}

/* [PID:]FD=PATH or [PID:]FD=fd:NUMBER */
static int parse_inherit(struct arguments *a, const char *s)
{
	struct stasis_inherit *in = &a->inherit[a->options.inherit_count];
	const char *at = s;
	int n = take_number(&at);

	if (a->options.inherit_count == INHERIT_MAX)
		return usage_error(&command_restore, "--inherit can be given %d times", INHERIT_MAX);
	in->pid = *at == ':' ? n : 0;
	if (*at == ':') {
		at++;
		in->fd = take_number(&at);
	} else {
		in->fd = n;
	}
	if (n < 0 || in->fd < 0 || *at++ != '=' || !*at)
		return usage_error(&command_restore,
				   "--inherit is [PID:]FD=PATH or [PID:]FD=fd:NUMBER, not '%s'", s);
	if (strncmp(at, "fd:", 3) == 0) {
		at += 3;
		in->given = take_number(&at);
		if (in->given < 0 || *at)
			return usage_error(&command_restore, "'%s' names no descriptor", s);
	} else {
		in->given = open(at, O_PATH | O_CLOEXEC);
		if (in->given < 0) {
			fprintf(stderr, "stasis: restore: cannot open %s: %s\n", at, strerror(errno));
			return EXIT_REFUSED;
		}
		a->opened[a->options.inherit_count] = true;
	}
	a->options.inherit_count++;
	return 0;
}

static int parse_copies(struct arguments *a, const char *s)
{
	const char *at = s;
	int n = take_number(&at);

	if (n < 1 || n > STASIS_COPIES_MAX || *at)
		return usage_error(&command_restore, "--clone is a number from 1 to %d, not '%s'",
				   STASIS_COPIES_MAX, s);
	a->copies = (size_t)n;
	return 0;
}

static int parse_option(struct arguments *a, int c, char *const argv[])
{
	switch (c) {
	case 'd':
		a->detach = true;
		return 0;
	case 'p':
		return parse_policy(a, optarg);
	case '0':
	case '1':
	case '2':
		a->standard[c - '0'] = optarg;
		return 0;
	case 't':
		a->options.tcp_close = 1;
		return 0;
	case 'i':
		return parse_inherit(a, optarg);
	case 'l':
		a->options.lazy = 1;
		return 0;
	case 'c':
		return parse_copies(a, optarg);
	case 'e':
		if (strcmp(optarg, "unix=close") != 0)
			return usage_error(&command_restore, "--external is unix=close here, not '%s'",
					   optarg);
		a->options.unix_close = 1;
		return 0;
	default:
		return option_error(&command_restore, c, argv);
	}
}

/* 0, the exit code, or -1: only help is wanted. */
static int parse(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{"detach", no_argument, NULL, 'd'},
		{"pid", required_argument, NULL, 'p'},
		{"stdin", required_argument, NULL, '0'},
		{"stdout", required_argument, NULL, '1'},
		{"stderr", required_argument, NULL, '2'},
		{"tcp-close", no_argument, NULL, 't'},
		{"inherit", required_argument, NULL, 'i'},
		{"external", required_argument, NULL, 'e'},
		{"clone", required_argument, NULL, 'c'},
		{"lazy", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c, r;

	while ((c = getopt_long(argc, argv, ":dh", longs, NULL)) != -1) {
		if (c == 'h')
			return -1;
		r = parse_option(a, c, argv);
		if (r)
			return r;
	}
	if (argc - optind != 1)
		return usage_error(&command_restore, "one image is needed");
	a->image = argv[optind];
	if (a->copies > 1 && a->options.pid == STASIS_PID_SAME)
		return usage_error(&command_restore, "only one process can have a number: "
						     "--pid=same is not for --clone %zu", a->copies);
	if (a->copies > 1 && a->options.lazy)
		return usage_error(&command_restore, "--lazy is not for --clone %zu", a->copies);
	if (a->copies > 1 && strcmp(a->image, "-") == 0)
		return usage_error(&command_restore, "with --clone the image is a file");
	return 0;
}

/* Output goes to the end of a file: a program that is brought back goes on writing. */
static int open_one(struct arguments *a, int i)
{
	const char *path = a->standard[i];
	int flags = (i == 0 ? O_RDONLY : O_WRONLY | O_APPEND) | O_CLOEXEC | O_NOCTTY;
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT && i > 0) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0666);
		a->made[i] = fd >= 0;
	}
	return fd;
}

/* What was made for a restore that did not come about is not left behind. */
static void close_standard(struct arguments *a, bool remove)
{
	for (int i = 0; i < 3; i++) {
		if (a->options.standard[i] >= 0)
			close(a->options.standard[i]);
		if (remove && a->made[i])
			unlink(a->standard[i]);
	}
	for (size_t i = 0; i < a->options.inherit_count; i++)
		if (a->opened[i])
			close(a->inherit[i].given);
}

static int open_standard(struct arguments *a)
{
	for (int i = 0; i < 3; i++) {
		if (!a->standard[i])
			continue;
		a->options.standard[i] = open_one(a, i);
		if (a->options.standard[i] < 0) {
			fprintf(stderr, "stasis: restore: cannot open %s: %s\n", a->standard[i],
				strerror(errno));
			close_standard(a, true);
			return EXIT_REFUSED;
		}
	}
	return 0;
}

/* They run: who cannot be told their numbers in the usual place is told them where errors stand. */
static int leave(stasis_process **processes, size_t count)
{
	int why;

	for (size_t i = 0; i < count; i++)
		printf("%d\n", stasis_process_pid(processes[i]));
	why = fflush(stdout) != 0 || ferror(stdout) ? errno : 0;
	for (size_t i = 0; i < count; i++) {
		if (why)
			fprintf(stderr, "stasis: restore: process %d runs, which could not be written to "
				"standard output: %s\n", stasis_process_pid(processes[i]), strerror(why));
		stasis_process_free(processes[i]);
	}
	return why ? EXIT_FAILED : EXIT_DONE;
}

static int run(int argc, char **argv)
{
	struct arguments a = {.options = STASIS_RESTORE_OPTIONS_INIT};
	struct terminal_modes modes;
	struct progress progress;
	size_t count;
	stasis_process **processes;
	stasis_error *err = NULL;
	int r = parse(&a, argc, argv);

	if (r < 0)
		return print_usage(&command_restore);
	if (r == 0)
		r = open_standard(&a);
	if (r > 0)
		return r;
	a.options.foreground = !a.detach;
	a.options.inherit = a.inherit;
	a.options.progress = progress_bytes;
	a.options.progress_arg = &progress;
	count = a.copies ? a.copies : 1;
	processes = calloc(count, sizeof(stasis_process *));
	if (!processes) {
		close_standard(&a, true);
		return EXIT_FAILED;
	}
	remember_terminal(&modes);
	progress_begin(&progress, a.image);
	r = stasis_restore_copies(a.image, &a.options, count, processes, &err);
	progress_end(&progress);
	close_standard(&a, r < 0);
	if (r < 0)
		mend_terminal(&modes);
	r = r < 0      ? report("restore", err)
	    : a.detach ? leave(processes, count)
		       : stay_in_foreground(processes, count, &modes);
	free(processes);
	return r;
}

const struct command command_restore = {
	"restore",
	"[--detach] [--pid=auto|same|private|new] [--stdin|--stdout|--stderr FILE] [--inherit FD=FILE] "
	"[--external unix=close] [--tcp-close] [--lazy | --clone N] IMAGE",
	"brings a program back and stays as its parent until it ends",
	run,
};

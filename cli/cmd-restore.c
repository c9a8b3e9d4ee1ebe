#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "foreground.h"

struct arguments {
	bool detach;
	const char *image;
	const char *standard[3];
	struct stasis_restore_options options;
};

static int parse_policy(const char *s, enum stasis_pid *ret)
{
	static const char *const names[] = {"auto", "same", "private", "new"};

	for (int i = 0; i < 4; i++)
		if (strcmp(s, names[i]) == 0) {
			*ret = (enum stasis_pid)i;
			return 0;
		}
	return -1;
}

static int parse(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{"detach", no_argument, NULL, 'd'},
		{"pid", required_argument, NULL, 'p'},
		{"stdin", required_argument, NULL, '0'},
		{"stdout", required_argument, NULL, '1'},
		{"stderr", required_argument, NULL, '2'},
		{"tcp-close", no_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+:dh", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			a->detach = true;
			break;
		case 'p':
			if (parse_policy(optarg, &a->options.pid) < 0)
				return usage_error(&command_restore,
						   "--pid is auto, same, private or new, not '%s'",
						   optarg);
			break;
		case '0':
		case '1':
		case '2':
			a->standard[c - '0'] = optarg;
			break;
		case 't':
			a->options.tcp_close = 1;
			break;
		case 'h':
			return -1;
		default:
			return usage_error(&command_restore, "unknown option, or one without its value: '%s'",
					   argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error(&command_restore, "one image is needed");
	a->image = argv[optind];
	return 0;
}

static int open_standard(struct arguments *a)
{
	for (int i = 0; i < 3; i++) {
		int flags = i == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND;

		if (!a->standard[i])
			continue;
		a->options.standard[i] = open(a->standard[i], flags | O_CLOEXEC, 0666);
		if (a->options.standard[i] < 0) {
			fprintf(stderr, "stasis: restore: %s: %s\n", a->standard[i], strerror(errno));
			return EXIT_REFUSED;
		}
	}
	return 0;
}

static int run(int argc, char **argv)
{
	struct arguments a = {.options = STASIS_RESTORE_OPTIONS_INIT};
	stasis_process *process;
	stasis_error *err = NULL;
	int r = parse(&a, argc, argv);

	if (r < 0)
		return print_usage(&command_restore);
	if (r == 0)
		r = open_standard(&a);
	if (r > 0)
		return r;
	if (stasis_restore(a.image, &a.options, &process, &err) < 0)
		return report("restore", err);
	if (a.detach) {
		printf("%d\n", stasis_process_pid(process));
		stasis_process_free(process);
		return EXIT_DONE;
	}
	return stay_in_foreground(process);
}

const struct command command_restore = {
	"restore",
	"[--detach] [--pid=auto|same|private|new] [--stdin|--stdout|--stderr FILE] [--tcp-close] "
	"IMAGE",
	"brings a program back and stays as its parent until it ends",
	run,
};

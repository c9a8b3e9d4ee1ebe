#include <getopt.h>

#include "cli.h"

static int run(int argc, char **argv)
{
	static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct stasis_image_info info = {.size = sizeof info};
	stasis_error *err = NULL;
	int c;

	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == 'h')
			return print_usage(&command_verify);
		return option_error(&command_verify, c, argv);
	}
	if (argc - optind != 1)
		return usage_error(&command_verify, "one image is needed");
	if (stasis_verify(argv[optind], &info, &err) < 0)
		return report("verify", err);
	printf("%s: whole: %llu records, %llu memory frames, %llu bytes, %s\n", argv[optind],
	       (unsigned long long)info.records, (unsigned long long)info.memory_frames,
	       (unsigned long long)info.bytes, info.identity);
	return EXIT_DONE;
}

const struct command command_verify = {
	"verify",
	"IMAGE",
	"reads all of an image and checks every hash in it",
	run,
};

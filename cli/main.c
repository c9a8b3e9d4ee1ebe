/* The command table. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct command *const commands[] = {
	&command_checkpoint,
	&command_restore,
	&command_show,
	&command_verify,
};

static void print_help(FILE *to)
{
	fprintf(to, "usage: stasis COMMAND [OPTION...] ARGUMENT...\n\n"
		    "Freezes running programs, keeps each in one file, and brings them back.\n\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-11s %s\n", commands[i]->name, commands[i]->about);
	fprintf(to, "\nstasis COMMAND --help tells the options of a command; stasis(1) tells all.\n");
}

int main(int argc, char **argv)
{
	/* A reader that goes away is an error with a sentence, and not our end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("stasis %s\n", stasis_version());
		return EXIT_DONE;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return commands[i]->run(argc - 1, argv + 1);
	fprintf(stderr, "stasis: there is no command '%s'\n    stasis --help lists them\n", argv[1]);
	return EXIT_USAGE;
}

/* The command table. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct command *const commands[] = {
	&command_checkpoint,
	&command_restore,
	&command_show,
	&command_verify,
	&command_doctor,
	&command_audit,
};

static void print_help(FILE *to)
{
	fprintf(to, "usage: stasis COMMAND [OPTION...] ARGUMENT...\n\n"
		    "Freezes running programs, keeps each in one file, and brings them back.\n\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-11s %s\n", commands[i]->name, commands[i]->about);
	fprintf(to, "\nstasis COMMAND --help tells the options of a command; stasis(1) tells all.\n");
}

/* What is opened later must not become 0, 1 or 2 by chance, and then be written to as an output. */
static int open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static void prepare_signals(void)
{
	/* A reader that goes away is an error with a sentence, and not our end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* Were it ignored, nobody could wait for anything. */
	signal(SIGCHLD, SIG_DFL);
}

static int run_command(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
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

int main(int argc, char **argv)
{
	int code;

	lower_capabilities();
	if (open_standard_descriptors() < 0) {
		fprintf(stderr, "stasis: cannot open /dev/null: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	prepare_signals();
	code = run_command(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE) {
		fprintf(stderr, "stasis: cannot write to standard output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return code;
}

/* A large command line and environment, partly written over: in memory and in /proc. */
#include "procfs.h"

#define WORDS 2000

static char *words[WORDS + 1];

/* Starts this program once more, with WORDS arguments and variables. */
static void start_again(void)
{
	for (int i = 0; i < WORDS; i++)
		CHECK(asprintf(&words[i], "w%d=%*d", i, i % 60, i) > 0);
	execve("/proc/self/exe", words, words);
	CHECK(!"execve");
}

int main(int argc, char **argv)
{
	char *cmdline, *environment;
	size_t cmdline_len, environment_len, len;
	char word[128];

	if (argc == 1)
		start_again();
	CHECK_EQ(argc, WORDS);
	memset(argv[0], 'X', strlen(argv[0])); /* as programs do that show their state in ps */
	CHECK(setenv("w0", "elsewhere", 1) == 0);
	cmdline = procfs_read("/proc/self/cmdline", &cmdline_len);
	environment = procfs_read("/proc/self/environ", &environment_len);
	CHECK(cmdline[0] == 'X' && cmdline_len > 60000);

	test_ready();

	CHECK(memcmp(procfs_read("/proc/self/cmdline", &len), cmdline, cmdline_len) == 0);
	CHECK_EQ(len, cmdline_len);
	CHECK(memcmp(procfs_read("/proc/self/environ", &len), environment, environment_len) == 0);
	CHECK_EQ(len, environment_len);
	CHECK(strcmp(getenv("w0"), "elsewhere") == 0);
	for (int i = 1; i < WORDS; i++) {
		snprintf(word, sizeof(word), "w%d=%*d", i, i % 60, i);
		CHECK(strcmp(argv[i], word) == 0);
	}
	CHECK(strcmp(getenv("w7"), "      7") == 0);
	test_passed();
}

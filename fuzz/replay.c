/*
 * Gives a target inputs from files, for builds without a fuzzer: what the corpus holds must never
 * do harm again.
 *
 *	replay-TARGET FILE|FOLDER...
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/str.h"
#include "pieces.h"

static size_t replay(const char *path)
{
	cleanup_free char *bytes = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, path, &bytes);
	uint8_t *exact;

	if (n < 0) {
		fprintf(stderr, "cannot read %s: %s\n", path, strerror((int)-n));
		exit(1);
	}
	/* Told before it happens. */
	fprintf(stderr, "%s\n", path);
	exact = malloc((size_t)n ? (size_t)n : 1);
	memcpy(exact, bytes, (size_t)n);
	LLVMFuzzerTestOneInput(exact, (size_t)n);
	free(exact);
	return 1;
}

static size_t replay_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	size_t n = 0;

	if (!dir)
		return replay(path);
	while ((e = readdir(dir))) {
		cleanup_free char *inner = e->d_name[0] == '.' ? NULL : str_format("%s/%s", path, e->d_name);

		if (inner)
			n += replay(inner);
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	size_t n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_all(argv[i]);
	printf("%zu inputs\n", n);
	return n ? 0 : 1;
}

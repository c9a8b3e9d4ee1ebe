/* Small readers of /proc for the programs of tests/kind. */
#pragma once

#include "check.h"

/* The whole file as a NUL-terminated string; ret_len, when given, is without that NUL. */
static inline char *procfs_read(const char *path, size_t *ret_len)
{
	size_t size = 1 << 16, len = 0;
	char *text = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(text && fd >= 0);
	for (;;) {
		ssize_t n = read(fd, text + len, size - len - 1);

		CHECK(n >= 0);
		if (n == 0)
			break;
		len += (size_t)n;
		if (size - len == 1) {
			size *= 2;
			text = realloc(text, size);
			CHECK(text);
		}
	}
	close(fd);
	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return text;
}

/*
 * The line "key: value" of a file such as /proc/self/status: a copy of its
 * value without the leading blanks, or an empty string where there is no such line.
 */
static inline char *procfs_value(const char *path, const char *key)
{
	char *text = procfs_read(path, NULL), *line, *save = NULL, *found = NULL;
	size_t len = strlen(key);

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, len) == 0 && line[len] == ':') {
			found = strdup(line + len + 1 + strspn(line + len + 1, " \t"));
			break;
		}
	}
	free(text);
	return found ? found : strdup("");
}

/* As procfs_value, for /proc/self/fdinfo/FD. */
static inline char *fdinfo_value(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return procfs_value(path, key);
}

/* What /proc/self/fd/FD points to: a copy. */
static inline char *fd_link(int fd)
{
	char path[64], target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	CHECK(n > 0);
	target[n] = '\0';
	return strdup(target);
}

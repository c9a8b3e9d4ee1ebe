#include "engine/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "base/fd.h"

#define CONFIG_MAX (4u << 20)

static bool slurp(const char *path, struct text *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = path ? fd_slurp(AT_FDCWD, path, &text) : -1;

	if (n > 0)
		text_add_bytes(ret, text, (size_t)n);
	return n > 0;
}

#ifdef HAVE_ZLIB
static void slurp_gzip(const char *path, struct text *ret)
{
	gzFile file = gzopen(path, "rbe");
	char buf[16384];
	int n;

	if (!file)
		return;
	while (ret->len < CONFIG_MAX && (n = gzread(file, buf, sizeof buf)) > 0)
		text_add_bytes(ret, buf, (size_t)n);
	gzclose(file);
}
#endif

void kernel_config(const char *release, struct text *ret)
{
	cleanup_free char *boot = str_format("/boot/config-%s", release);
	cleanup_free char *modules = str_format("/lib/modules/%s/config", release);

#ifdef HAVE_ZLIB
	/* The kernel's own word first. */
	slurp_gzip("/proc/config.gz", ret);
#endif
	if (!ret->len && !slurp(boot, ret))
		slurp(modules, ret);
}

char *kernel_config_value(const char *config, const char *option)
{
	size_t len = strlen(option);

	for (const char *line = config; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, option, len) == 0 && line[len] == '=')
			return strndup(line + len + 1, strcspn(line + len + 1, "\n"));
	}
	return strdup("n");
}

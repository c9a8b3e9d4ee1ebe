/* How far long work has come: on a terminal, and nowhere else. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* Short work says nothing, and long work not more often than an eye can follow. */
#define SILENT_MS 400
#define INTERVAL_MS 100

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, const char *doing)
{
	*p = (struct progress){.doing = doing, .began = now_ms()};
}

void progress_bytes(void *arg, uint64_t bytes)
{
	struct progress *p = arg;
	int64_t now = now_ms();
	char size[32];

	if (bytes == UINT64_MAX) {
		progress_end(p);
		return;
	}
	if (now - p->began < SILENT_MS || now - p->shown < INTERVAL_MS || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s: %s", p->doing, format_size(size, bytes));
	p->shown = now;
	p->visible = true;
}

void progress_end(struct progress *p)
{
	if (p->visible)
		fputs("\r\033[K", stderr);
	p->visible = false;
}

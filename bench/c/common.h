/* What the programs of the benchmark share. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum pages { SMALL_PAGES, HUGE_PAGES, ANY_PAGES };

/* Whether memory that nobody has advised anything about is given huge pages. */
static inline int huge_unasked(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char text[64] = "";

	if (file && !fgets(text, sizeof text, file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return strstr(text, "[always]") != NULL;
}

/* Aligned to huge pages.  Without advice where that does it: advice is part of what is saved. */
static inline char *map_private(size_t size, enum pages pages)
{
	const size_t align = 2 * MIB;
	char *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));

	if (p == MAP_FAILED)
		die("mmap");
	if (start > p)
		munmap(p, (size_t)(start - p));
	if (start + size < p + size + align)
		munmap(start + size, (size_t)(p + align - start));
	if (pages == HUGE_PAGES)
		madvise(start, size, MADV_HUGEPAGE);
	else if (pages == SMALL_PAGES && size >= align && huge_unasked())
		madvise(start, size, MADV_NOHUGEPAGE);
	return start;
}

/* Bytes that no compression makes smaller and no scan for zeros finds. */
static inline void fill(void *to, size_t bytes)
{
	uint64_t *words = to, x = 88172645463325252u ^ (uintptr_t)to;

	for (size_t i = 0; i < bytes / sizeof x; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

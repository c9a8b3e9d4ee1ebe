/*
 * What the kernel says of a mapping of this process, from /proc/self/smaps,
 * read without allocating anything (reading must not change what is read).
 *
 *	struct map_info before = map_at(address);
 *	test_ready();
 *	CHECK_MAP_SAME(before);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

#define PAGE 4096UL

struct map_info {
	unsigned long start, end, offset, inode;
	char perms[5];  /* "rw-p" */
	char path[256]; /* "" for anonymous memory, "[heap]", "/tmp/file" */
	long rss;       /* these three in KiB */
	long anonymous;
	long anon_huge;
	char vm_flags[128]; /* "rd wr mr mw me " without those of map_ignored() */
};

struct map_walk {
	int fd;
	size_t at, filled;
	char buffer[4096];
	char line[512];
	bool have_line;
};

static inline void map_walk_begin(struct map_walk *walk, const char *proc_file)
{
	memset(walk, 0, sizeof *walk);
	walk->fd = open(proc_file, O_RDONLY | O_CLOEXEC);
	CHECK(walk->fd >= 0);
}

/* The next line into walk->line; what does not fit there is left out. */
static inline bool map_walk_line(struct map_walk *walk)
{
	size_t length = 0;

	for (;;) {
		if (walk->at == walk->filled) {
			ssize_t n = read(walk->fd, walk->buffer, sizeof walk->buffer);

			CHECK(n >= 0);
			if (n == 0)
				return false;
			walk->at = 0;
			walk->filled = (size_t)n;
		}
		char c = walk->buffer[walk->at++];

		if (c == '\n')
			break;
		if (length < sizeof walk->line - 1)
			walk->line[length++] = c;
	}
	walk->line[length] = '\0';
	return true;
}

/*
 * Marks that say nothing about what the program asked for: sd is set by any
 * write, ac tells how the kernel's own accounting came about.
 */
static inline bool map_ignored(const char *flag)
{
	return !strncmp(flag, "sd", 2) || !strncmp(flag, "ac", 2);
}

static inline void map_take_flags(struct map_info *map, const char *text)
{
	size_t length = 0;

	for (; text[0] && text[1]; text += 3) {
		if (!map_ignored(text) && length + 4 < sizeof map->vm_flags) {
			memcpy(map->vm_flags + length, text, 2);
			map->vm_flags[length + 2] = ' ';
			length += 3;
		}
		if (!text[2])
			break;
	}
	map->vm_flags[length] = '\0';
}

static inline bool map_take_header(struct map_info *map, const char *line)
{
	int path = 0;

	memset(map, 0, sizeof *map);
	if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %n", &map->start, &map->end, map->perms,
		   &map->offset, &map->inode, &path) != 5)
		return false;
	snprintf(map->path, sizeof map->path, "%s", line + path);
	return true;
}

/* The next mapping; in /proc/self/maps only what its line holds. */
static inline bool map_walk_next(struct map_walk *walk, struct map_info *ret_map)
{
	struct map_info other;

	if (!walk->have_line && !map_walk_line(walk)) {
		close(walk->fd);
		return false;
	}
	walk->have_line = false;
	CHECK(map_take_header(ret_map, walk->line));
	while (map_walk_line(walk)) {
		if (map_take_header(&other, walk->line)) {
			walk->have_line = true;
			break;
		}
		sscanf(walk->line, "Rss: %ld", &ret_map->rss);
		sscanf(walk->line, "Anonymous: %ld", &ret_map->anonymous);
		sscanf(walk->line, "AnonHugePages: %ld", &ret_map->anon_huge);
		if (!strncmp(walk->line, "VmFlags: ", 9))
			map_take_flags(ret_map, walk->line + 9);
	}
	return true;
}

/* The mapping that holds an address. */
static inline bool map_find(const void *address, struct map_info *ret_map)
{
	unsigned long at = (unsigned long)address;
	struct map_walk walk;
	struct map_info map;

	map_walk_begin(&walk, "/proc/self/smaps");
	while (map_walk_next(&walk, &map)) {
		if (map.start <= at && at < map.end) {
			close(walk.fd);
			*ret_map = map;
			return true;
		}
	}
	return false;
}

/* The first mapping with this name, such as "[vdso]". */
static inline bool map_find_name(const char *path, struct map_info *ret_map)
{
	struct map_walk walk;
	struct map_info map;

	map_walk_begin(&walk, "/proc/self/smaps");
	while (map_walk_next(&walk, &map)) {
		if (!strcmp(map.path, path)) {
			close(walk.fd);
			*ret_map = map;
			return true;
		}
	}
	return false;
}

static inline struct map_info map_at(const void *address)
{
	struct map_info map;

	CHECK(map_find(address, &map));
	return map;
}

static inline bool map_has_flag(const struct map_info *map, const char *flag)
{
	return strstr(map->vm_flags, flag) != NULL;
}

static inline void map_check_same(const struct map_info *old, const char *file, int line)
{
	struct map_info now;

	if (!map_find((void *)old->start, &now)) {
		fprintf(stderr, "%s:%d: nothing is mapped at %lx\n", file, line, old->start);
		_exit(1);
	}
	if (old->start == now.start && old->end == now.end && old->offset == now.offset &&
	    !strcmp(old->perms, now.perms) && !strcmp(old->path, now.path) &&
	    !strcmp(old->vm_flags, now.vm_flags))
		return;
	fprintf(stderr, "%s:%d: was %lx-%lx %s %lx %s: %s\n", file, line, old->start, old->end,
		old->perms, old->offset, old->path, old->vm_flags);
	fprintf(stderr, "%s:%d: now %lx-%lx %s %lx %s: %s\n", file, line, now.start, now.end,
		now.perms, now.offset, now.path, now.vm_flags);
	_exit(1);
}

/* Place, protection, offset, name and every flag are as they were. */
#define CHECK_MAP_SAME(old) map_check_same(&(old), __FILE__, __LINE__)

/*
 * A free place of this length with a hole on both sides, so that what is
 * mapped there cannot merge with a neighbour.
 */
static inline void *map_place(size_t length)
{
	char *place = mmap(NULL, length + 32 * PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(place != MAP_FAILED);
	CHECK(munmap(place, length + 32 * PAGE) == 0);
	return place + 16 * PAGE;
}

/* Private anonymous memory that stands alone. */
static inline void *map_alone(size_t length, int prot)
{
	void *address = mmap(map_place(length), length, prot,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(address != MAP_FAILED);
	return address;
}

static inline uint64_t pattern_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes that look random and follow from the seed; a length of whole words. */
static inline void pattern_fill(void *address, size_t length, unsigned int seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
	uint64_t *word = address;

	for (size_t i = 0; i < length / sizeof *word; i++)
		word[i] = pattern_next(&state);
}

static inline bool pattern_is(const void *address, size_t length, unsigned int seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
	const uint64_t *word = address;

	for (size_t i = 0; i < length / sizeof *word; i++)
		if (word[i] != pattern_next(&state))
			return false;
	return true;
}

static inline bool all_zero(const void *address, size_t length)
{
	const uint64_t *word = address;

	for (size_t i = 0; i < length / sizeof *word; i++)
		if (word[i])
			return false;
	return true;
}

/*
 * What no checkpoint and no restore can be faster than: the same number of bytes, written to
 * the same file system or read into fresh memory, and nothing else.  Prints nanoseconds.
 *
 *	floor write FILE BYTES		write(2), fsync(2)
 *	floor read FILE BYTES		read(2) into memory that no one touched yet
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const size_t chunk = 1u << 20;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *map_private(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* From one chunk that stays in the cache: a source of its own would be no part of the floor. */
static uint64_t write_all(const char *file, size_t size)
{
	char *buf = map_private(chunk);
	uint64_t start;
	int fd;

	memset(buf, 0x5a, chunk);
	start = now();
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die(file);
	for (ssize_t n; size; size -= (size_t)n) {
		n = write(fd, buf, size < chunk ? size : chunk);
		if (n <= 0)
			die("write");
	}
	if (fsync(fd) < 0)
		die("fsync");
	close(fd);
	return now() - start;
}

static uint64_t read_all(const char *file, size_t size)
{
	uint64_t start = now();
	char *to = map_private(size);
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(file);
	for (ssize_t n; size; size -= (size_t)n, to += n) {
		n = read(fd, to, size < chunk ? size : chunk);
		if (n <= 0)
			die("read");
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	size_t size = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;

	if (size && strcmp(argv[1], "write") == 0)
		printf("%" PRIu64 "\n", write_all(argv[2], size));
	else if (size && strcmp(argv[1], "read") == 0)
		printf("%" PRIu64 "\n", read_all(argv[2], size));
	else
		return 2;
	return 0;
}

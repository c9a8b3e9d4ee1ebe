/*
 * What is checkpointed: a program of one shape, whose main thread does nothing but look at the
 * clock, and so sees for itself how long it stood still.
 *
 *	workload BEAT-FILE SHAPE COUNT
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The file that run.py maps, too; its layout stands in both. */
struct beat {
	_Atomic uint64_t now;     /* when the clock was last looked at, ns of CLOCK_MONOTONIC */
	_Atomic uint64_t gap;     /* the longest between two looks since it was last set to 0 */
	_Atomic uint64_t gap_end; /* the first look after it */
};

static void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Bytes that no compression makes smaller and no scan for zeros finds. */
static void fill(uint64_t *words, size_t count)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

static void *map_private(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void make_heap(size_t mebibytes)
{
	size_t size = mebibytes << 20;

	fill(map_private(size), size / sizeof(uint64_t));
}

/* Neighbours differ in their protection, or the kernel would make one mapping of them. */
static void make_mappings(size_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = map_private(count * page);

	fill((uint64_t *)p, count * page / sizeof(uint64_t));
	for (size_t i = 0; i < count; i += 2)
		if (mprotect(p + i * page, page, PROT_READ) < 0)
			die("mprotect");
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_threads(size_t count)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64u << 10);
	for (size_t i = 0; i < count; i++) {
		errno = pthread_create(&thread, &attr, sleep_for_ever, NULL);
		if (errno)
			die("pthread_create");
	}
}

/* As a server has them, in equal parts: files, devices, event descriptors and ends of pipes. */
static void make_descriptors(const char *file, size_t count)
{
	struct rlimit limit;
	int ends[2];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (size_t i = 0; i < count; i += 8) {
		for (int k = 0; k < 2; k++)
			if (open(file, O_RDONLY) < 0 || open("/dev/null", O_RDWR) < 0 ||
			    eventfd((unsigned int)i, 0) < 0)
				die("open");
		if (pipe(ends) < 0)
			die("pipe");
	}
}

static struct beat *map_beat(const char *file)
{
	int fd = open(file, O_RDWR);
	struct beat *b;

	if (fd < 0)
		die(file);
	b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b == MAP_FAILED)
		die("mmap");
	close(fd);
	return b;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void watch_the_clock(struct beat *b)
{
	for (uint64_t last = now(), t;; last = t) {
		t = now();
		if (t - last > b->gap) {
			b->gap = t - last;
			b->gap_end = t;
		}
		b->now = t;
	}
}

int main(int argc, char **argv)
{
	const char *shape = argc == 4 ? argv[2] : "";
	size_t count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct beat *beat;

	if (argc != 4) {
		fprintf(stderr, "usage: workload BEAT-FILE SHAPE COUNT\n");
		return 2;
	}
	beat = map_beat(argv[1]);
	if (strcmp(shape, "heap") == 0)
		make_heap(count);
	else if (strcmp(shape, "mappings") == 0)
		make_mappings(count);
	else if (strcmp(shape, "threads") == 0)
		make_threads(count);
	else if (strcmp(shape, "descriptors") == 0)
		make_descriptors(argv[1], count);
	watch_the_clock(beat);
}

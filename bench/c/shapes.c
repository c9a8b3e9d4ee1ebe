#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "shapes.h"

static void make_heap(struct heap *heap, size_t mebibytes, enum pages pages)
{
	heap->start = map_private(mebibytes * MIB, pages);
	heap->pages = mebibytes * MIB / PAGE;
	fill(heap->start, mebibytes * MIB);
}

/* Neighbours differ in their protection, or the kernel would make one mapping of them. */
static void make_mappings(size_t count)
{
	char *p = map_private(count * PAGE, SMALL_PAGES);

	fill(p, count * PAGE);
	for (size_t i = 0; i < count; i += 2)
		if (mprotect(p + i * PAGE, PAGE, PROT_READ) < 0)
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

/* Each has some pages of its own, and ends when the first process does: nobody writes the pipe. */
static void make_processes(size_t count)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		die("pipe");
	for (size_t i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			close(ends[1]);
			fill(map_private(16 * PAGE, SMALL_PAGES), 16 * PAGE);
			while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
				;
			_exit(0);
		}
	}
	close(ends[0]);
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

int shape_make(const char *shape, size_t count, const char *file, struct heap *heap)
{
	if (strcmp(shape, "small") == 0)
		return 1;
	if (strcmp(shape, "heap") == 0)
		make_heap(heap, count, SMALL_PAGES);
	else if (strcmp(shape, "huge") == 0)
		make_heap(heap, count, HUGE_PAGES);
	else if (strcmp(shape, "server") == 0)
		make_heap(heap, count, ANY_PAGES);
	else if (strcmp(shape, "mappings") == 0)
		make_mappings(count);
	else if (strcmp(shape, "threads") == 0)
		make_threads(count);
	else if (strcmp(shape, "processes") == 0)
		make_processes(count);
	else if (strcmp(shape, "descriptors") == 0)
		make_descriptors(file, count);
	else
		return 0;
	return 1;
}

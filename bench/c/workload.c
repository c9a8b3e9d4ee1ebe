/*
 * What is checkpointed: a program of one shape, whose main thread does nothing but look at the
 * clock, and so sees for itself how long it stood still; or, as a server, answers.
 *
 *	workload BEAT-FILE SHAPE COUNT
 */
#include <fcntl.h>
#include <unistd.h>

#include "common.h"
#include "shapes.h"

/* The file that programs.py maps, too; its layout stands in both. */
struct beat {
	_Atomic uint64_t now;     /* when the clock was last looked at, ns of CLOCK_REALTIME */
	_Atomic uint64_t gap;     /* the longest between two looks since it was last set to 0 */
	_Atomic uint64_t gap_end; /* the first look after it */
	_Atomic uint64_t work;    /* looks since the start */
	_Atomic uint64_t order;   /* pages that are to be rewritten at once; 0 again when done */
	_Atomic uint64_t rate;    /* pages that are to be rewritten a second, all the time */
	_Atomic uint64_t rest;    /* whether it is to sleep, and leave the processor to others */
};

struct writer {
	struct heap heap;
	size_t next;
	uint64_t rate, due; /* due: when the next page is to be rewritten, ns */
};

/* The one clock that is everywhere the same: a peer restores into a time namespace. */
static uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
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

/* Page after page of the heap, far from each other: a prime step visits all of them. */
static void rewrite_page(struct writer *w)
{
	uint64_t *words = (uint64_t *)(w->heap.start + w->next * PAGE);

	for (size_t i = 0; i < PAGE / sizeof *words; i++)
		words[i] += 0x9e3779b97f4a7c15u;
	w->next = (w->next + 65537) % w->heap.pages;
}

/* What was missed during a pause is not made up for: the rate is that of a running program. */
static void keep_rate(struct writer *w, uint64_t rate, uint64_t t)
{
	if (rate != w->rate || t > w->due + 10000000) {
		w->rate = rate;
		w->due = t;
	}
	while (w->due <= t) {
		rewrite_page(w);
		w->due += 1000000000u / rate;
	}
}

static void watch_the_clock(struct beat *b, const struct heap *heap)
{
	struct writer w = {.heap = *heap};

	for (uint64_t last = clock_now(), t;; last = t) {
		for (; b->rest; last = clock_now())
			usleep(1000);
		t = clock_now();
		if (t > last && t - last > b->gap) {
			b->gap = t - last;
			b->gap_end = t;
		}
		b->now = t;
		b->work++;
		if (b->rate && heap->pages)
			keep_rate(&w, b->rate, t);
		for (; b->order && heap->pages; b->order--)
			rewrite_page(&w);
	}
}

/* Answers each byte of one FIFO on another, with a byte that needs a page of the heap. */
static void serve(struct beat *b, const struct heap *heap)
{
	int ask = open("ask", O_RDWR | O_CLOEXEC), answer = open("answer", O_RDWR | O_CLOEXEC);
	uint64_t x = 88172645463325252u;
	char byte;

	if (ask < 0 || answer < 0)
		die("ask, answer");
	for (b->now = clock_now();;) {
		if (read(ask, &byte, 1) != 1)
			continue;
		x = x * 6364136223846793005u + 1442695040888963407u;
		byte = heap->start[(x >> 33) % heap->pages * PAGE];
		if (write(answer, &byte, 1) != 1)
			die("answer");
	}
}

int main(int argc, char **argv)
{
	struct heap heap = {0};
	struct beat *beat;

	if (argc != 4) {
		fprintf(stderr, "usage: workload BEAT-FILE SHAPE COUNT\n");
		return 2;
	}
	beat = map_beat(argv[1]);
	if (!shape_make(argv[2], strtoul(argv[3], NULL, 10), argv[1], &heap)) {
		fprintf(stderr, "workload: there is no shape %s\n", argv[2]);
		return 2;
	}
	if (strcmp(argv[2], "server") == 0)
		serve(beat, &heap);
	watch_the_clock(beat, &heap);
}

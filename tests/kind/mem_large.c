/*
 * Shows: large memory comes back whatever it is made of: pages side by side and far apart, under
 * every protection, mappings that follow each other, memory reserved only, and what a child
 * shares with its parent and has of its own.  Afterwards it is ordinary memory.
 */
#include "maps.h"

#include <sys/wait.h>

#define MIB (1UL << 20)
#define SIZE (6 * MIB)
#define RESERVED (64UL << 30)

static const int protections[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_WRITE};

enum { PARTS = sizeof protections / sizeof *protections };

/* Every third page, so that each is a run of its own. */
static void scatter(char *at, unsigned seed)
{
	for (unsigned long i = 0; i < SIZE; i += 3 * PAGE)
		pattern_fill(at + i, PAGE, seed + (unsigned)(i / PAGE));
}

static void check_scattered(const char *at, unsigned seed)
{
	for (unsigned long i = 0; i < SIZE; i += 3 * PAGE) {
		CHECK(pattern_is(at + i, PAGE, seed + (unsigned)(i / PAGE)));
		CHECK(i + 3 * PAGE > SIZE || all_zero(at + i + PAGE, 2 * PAGE));
	}
}

/* MADV_DONTNEED gives zeros, and nothing is told of faults. */
static void check_ordinary(char *at)
{
	CHECK(madvise(at, SIZE, MADV_DONTNEED) == 0);
	CHECK(all_zero(at, SIZE));
	at[SIZE - 1] = 1;
}

/* In parent and child. */
static void check_all(char *dense, char *sparse, char *split, char *reserved, unsigned own)
{
	CHECK(pattern_is(dense, SIZE, 1));
	check_scattered(sparse, 1000);
	CHECK(mprotect(split, PARTS * SIZE, PROT_READ | PROT_WRITE) == 0);
	for (int i = 0; i < PARTS; i++)
		CHECK(pattern_is(split + (unsigned long)i * SIZE, SIZE, 20 + (unsigned)i));
	CHECK(pattern_is(reserved + RESERVED / 2, SIZE, own));
	CHECK(all_zero(reserved, MIB));
	check_ordinary(dense);
	check_ordinary(sparse);
}

int main(void)
{
	char *dense = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *sparse = map_alone(SIZE, PROT_READ | PROT_WRITE);
	char *split = map_alone(PARTS * SIZE, PROT_READ | PROT_WRITE);
	char *reserved = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct map_info before[PARTS + 3];
	int go[2], status;
	pid_t child;
	char byte;

	CHECK(reserved != MAP_FAILED);
	CHECK(pipe(go) == 0);
	pattern_fill(dense, SIZE, 1);
	scatter(sparse, 1000);
	for (int i = 0; i < PARTS; i++) {
		pattern_fill(split + (unsigned long)i * SIZE, SIZE, 20 + (unsigned)i);
		CHECK(mprotect(split + (unsigned long)i * SIZE, SIZE, protections[i]) == 0);
	}
	pattern_fill(reserved + RESERVED / 2, SIZE, 50);
	for (int i = 0; i < PARTS; i++)
		before[i] = map_at(split + (unsigned long)i * SIZE);
	before[PARTS] = map_at(dense);
	before[PARTS + 1] = map_at(sparse);
	before[PARTS + 2] = map_at(reserved);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		/* Some of it is the parent's, some is not. */
		pattern_fill(reserved + RESERVED / 2, SIZE, 51);
		CHECK(read(go[0], &byte, 1) == 1);
		check_all(dense, sparse, split, reserved, 51);
		_exit(0);
	}

	test_ready();

	for (int i = 0; i < PARTS + 3; i++)
		CHECK_MAP_SAME(before[i]);
	CHECK(write(go[1], "", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_all(dense, sparse, split, reserved, 50);
	test_passed();
}

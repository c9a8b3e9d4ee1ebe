/*
 * Shows: memory that parent and child have shared since fork(2) is still shared afterwards, and what
 * each has written since then is its own; also in a grandchild, in a private mapping of a file,
 * and where a child has dropped or newly mapped memory.
 */
#include <sys/mman.h>

#include "tree.h"

#define PAGE     4096ul
#define PAGES    6000ul
#define CHILDREN 6

static unsigned char *heap, *file;
static struct stamp {
	unsigned long page, who;
} *stamps[PAGES];

/* Each page has its number, and who wrote it last. */
static void stamp(unsigned long page, unsigned long who)
{
	*stamps[page] = (struct stamp){page, who};
}

static void check_stamps(unsigned long me, unsigned long above)
{
	for (unsigned long i = 0; i < PAGES; i++) {
		unsigned long who = i == me ? me : i == above ? above : 0;

		/* This one the children have dropped. */
		if (i == PAGES - 1 && me) {
			CHECK_EQ(stamps[i]->page, 0);
			continue;
		}
		CHECK_EQ(stamps[i]->page, i);
		CHECK_EQ(stamps[i]->who, who);
	}
}

/* Kilobytes of the heap that no other process has. */
static long private_kb(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	char line[512];
	long sum = 0, kb;
	int inside = 0;

	CHECK(f != NULL);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && line[0] != 'F')
			inside = start < (unsigned long)(heap + PAGES * PAGE) &&
				 end > (unsigned long)heap;
		if (inside && (sscanf(line, "Private_Dirty: %ld", &kb) == 1 ||
			       sscanf(line, "Private_Clean: %ld", &kb) == 1))
			sum += kb;
	}
	fclose(f);
	return sum;
}

static void check_private(void)
{
	long own = private_kb();

	if (own > (long)(PAGES * PAGE / 1024 / 4))
		fprintf(stderr, "%d %d: %ld KiB are not shared\n", getpid(), getppid(), own);
	CHECK(own <= (long)(PAGES * PAGE / 1024 / 4));
}

static void write_own(unsigned long me)
{
	stamp(me, me);
	file[PAGE] = (unsigned char)me;
}

static void run_child(unsigned long me)
{
	unsigned char *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long above = 0;
	pid_t below = 0;

	write_own(me);
	CHECK(madvise(heap + (PAGES - 1) * PAGE, PAGE, MADV_DONTNEED) == 0);
	if (me == 1) {
		below = fork();
		CHECK(below >= 0);
		if (below == 0) {
			above = me;
			me = CHILDREN + 1;
			write_own(me);
		}
	}
	memset(fresh, (int)me, PAGE);
	tree_set_up();

	check_stamps(me, above);
	CHECK_EQ(file[0], 'f');
	CHECK_EQ(file[PAGE], me);
	CHECK_EQ(fresh[PAGE - 1], me);
	check_private();
	/* Nobody ends, and leaves his pages to another, before all have looked. */
	CHECK(write(tree_pipe[1], "x", 1) == 1);
	while (access("looked", F_OK) < 0)
		test_nap(2);
	if (below)
		tree_collect(below);
	_exit(0);
}

int main(void)
{
	int fd = open("file", O_CREAT | O_RDWR, 0600);
	pid_t children[CHILDREN];
	char page[PAGE];

	memset(page, 'f', sizeof page);
	CHECK(write(fd, page, PAGE) == (ssize_t)PAGE && write(fd, page, PAGE) == (ssize_t)PAGE);
	heap = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(heap != MAP_FAILED && file != MAP_FAILED);
	madvise(heap, PAGES * PAGE, MADV_NOHUGEPAGE);
	for (unsigned long i = 0; i < PAGES; i++) {
		stamps[i] = (struct stamp *)(heap + i * PAGE + i % 255 * 16);
		stamp(i, 0);
	}
	file[0] = 'f';
	tree_begin();
	for (unsigned long i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (children[i] == 0)
			run_child(i + 1);
	}
	tree_wait(CHILDREN + 1);

	test_ready();

	check_stamps(0, 0);
	CHECK_EQ(file[PAGE], 'f');
	check_private();
	tree_wait(CHILDREN + 1);
	close(open("looked", O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < CHILDREN; i++)
		tree_collect(children[i]);
	test_passed();
}

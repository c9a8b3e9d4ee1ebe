/*
 * A program that has used its limits up: no file of any size, no process, no
 * descriptor and no data more.  Neither checkpoint nor restore may trip over them.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

static void pin(int resource, rlim_t value)
{
	struct rlimit limit = {value, value};

	CHECK(setrlimit(resource, &limit) == 0);
}

static void check_pinned(int resource, rlim_t value)
{
	struct rlimit limit;

	CHECK(getrlimit(resource, &limit) == 0);
	CHECK_EQ(limit.rlim_cur, value);
	CHECK_EQ(limit.rlim_max, value);
}

int main(void)
{
	size_t len = 8 << 20;
	unsigned char *heap = malloc(len);

	CHECK(heap);
	memset(heap, 0xa5, len);
	pin(RLIMIT_FSIZE, 4096); /* room for a word on stdout */
	pin(RLIMIT_NPROC, 1);
	pin(RLIMIT_NOFILE, 4); /* test_ready needs one */
	pin(RLIMIT_DATA, 0);
	pin(RLIMIT_MEMLOCK, 0);
	pin(RLIMIT_SIGPENDING, 0);

	test_ready();

	check_pinned(RLIMIT_FSIZE, 4096);
	check_pinned(RLIMIT_NPROC, 1);
	check_pinned(RLIMIT_NOFILE, 4);
	check_pinned(RLIMIT_DATA, 0);
	check_pinned(RLIMIT_MEMLOCK, 0);
	check_pinned(RLIMIT_SIGPENDING, 0);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ(heap[i], 0xa5);
	CHECK(mmap(NULL, len, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	test_passed();
}

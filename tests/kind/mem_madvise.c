/*
 * Shows: what the program has advised for its memory stays advised, as the
 * VmFlags of /proc/self/smaps show it.
 */
#include <sys/wait.h>

#include "maps.h"

#define SIZE (64 * PAGE)

static const struct {
	int advice;
	const char *flag;
} advices[] = {
	{MADV_DONTFORK, "dc"},   {MADV_WIPEONFORK, "wf"}, {MADV_DONTDUMP, "dd"},
	{MADV_MERGEABLE, "mg"},  {MADV_HUGEPAGE, "hg"},   {MADV_NOHUGEPAGE, "nh"},
	{MADV_SEQUENTIAL, "sr"}, {MADV_RANDOM, "rr"},
};

enum {
	COUNT = sizeof advices / sizeof *advices,
};

/* What a child sees: nothing of the first two. */
static void check_in_child(const char *wiped, const char *kept)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(all_zero(wiped, SIZE) && !all_zero(kept, SIZE) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQ(status, 0);
}

int main(void)
{
	struct map_info before[COUNT];
	char *memory[COUNT];

	for (int i = 0; i < COUNT; i++) {
		memory[i] = map_alone(SIZE, PROT_READ | PROT_WRITE);
		/* KSM and huge pages are options of the kernel, the others are not. */
		if (madvise(memory[i], SIZE, advices[i].advice) < 0)
			CHECK(errno == EINVAL && strstr("mg hg nh", advices[i].flag));
		else
			CHECK(strstr(map_at(memory[i]).vm_flags, advices[i].flag));
		pattern_fill(memory[i], SIZE, i);
	}
	/* Two at once. */
	CHECK(madvise(memory[7], SIZE, MADV_DONTFORK) == 0);
	CHECK(madvise(memory[7], SIZE, MADV_DONTDUMP) == 0);
	for (int i = 0; i < COUNT; i++)
		before[i] = map_at(memory[i]);

	test_ready();

	for (int i = 0; i < COUNT; i++)
		CHECK_MAP_SAME(before[i]);
	for (int i = 0; i < COUNT; i++)
		CHECK(pattern_is(memory[i], SIZE, i));
	check_in_child(memory[1], memory[2]);
	test_passed();
}

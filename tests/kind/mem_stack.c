/*
 * Shows: the main stack in the middle of a deep recursion, its growth
 * afterwards, and a MAP_GROWSDOWN mapping that still grows.
 */
#include <sys/resource.h>

#include "maps.h"

#define FRAME 8192
#define DEPTH 100

static void touch(volatile char *bytes)
{
	for (int i = 0; i < FRAME; i += 512)
		bytes[i] = (char)i;
}

/* Every level finds its own frame unharmed on the way back. */
static __attribute__((noinline)) unsigned long down(unsigned int level, void (*bottom)(void))
{
	uint64_t frame[FRAME / sizeof(uint64_t)];
	unsigned long below = 0;

	pattern_fill(frame, sizeof frame, level);
	if (level)
		below = down(level - 1, bottom);
	else
		bottom();
	CHECK(pattern_is(frame, sizeof frame, level));
	return below + 1;
}

static __attribute__((noinline)) unsigned long deeper(unsigned long bytes)
{
	volatile char frame[FRAME];

	touch(frame);
	return bytes > FRAME ? deeper(bytes - FRAME) + (unsigned char)frame[512] : 0;
}

int main(void)
{
	/* Below it 4 MiB of nothing, to grow into. */
	const unsigned long room = 4UL << 20;
	char *grows = (char *)map_place(room + PAGE) + room;

	CHECK(mmap(grows, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1,
		   0) == grows);
	grows[-1] = 'a';
	struct map_info before_grows = map_at(grows);

	CHECK(before_grows.start < (unsigned long)grows && map_has_flag(&before_grows, "gd"));
	/* Whatever the calls to come need is there already. */
	deeper((DEPTH + 50) * FRAME);
	struct map_info before = map_at(&before);

	CHECK_EQ(down(DEPTH, test_ready), DEPTH + 1);

	CHECK_MAP_SAME(before);
	CHECK(!strcmp(before.path, "[stack]") && map_has_flag(&before, "gd"));
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
	deeper(limit.rlim_cur < (8UL << 20) ? limit.rlim_cur / 2 : 4UL << 20);
	CHECK(map_at(&before).start < before.start);

	CHECK_MAP_SAME(before_grows);
	CHECK(grows[-1] == 'a');
	for (int i = 1; i < 64; i++)
		grows[-i * (long)PAGE] = (char)i;
	CHECK(map_at(grows).start <= (unsigned long)grows - 63 * PAGE);
	test_passed();
}

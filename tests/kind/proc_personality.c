/*
 * The flags of personality(2).  One of them makes every readable mapping of
 * the future executable: those of the past must not become so.
 */
#include <sys/mman.h>
#include <sys/personality.h>

#include "procfs.h"

/* The letters of /proc/self/maps for the mapping that begins at addr. */
static char *perms(const void *addr)
{
	char *maps = procfs_read("/proc/self/maps", NULL), want[32], *line;

	snprintf(want, sizeof(want), "%lx-", (unsigned long)addr);
	line = strstr(maps, want);
	CHECK(line);
	return strndup(strchr(line, ' ') + 1, 4);
}

static void *page(int prot)
{
	char *p = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED); /* with nothing around it that it could merge with */
	CHECK(mprotect(p + 4096, 4096, prot) == 0);
	return p + 4096;
}

int main(void)
{
	const int flags = ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | STICKY_TIMEOUTS | WHOLE_SECONDS;
	void *old = page(PROT_READ | PROT_WRITE), *new;

	CHECK(personality(flags) >= 0);
	new = page(PROT_READ);
	CHECK(strcmp(perms(old), "rw-p") == 0 && strcmp(perms(new), "r-xp") == 0);

	test_ready();

	CHECK_EQ(personality(0xffffffff), flags);
	CHECK(strcmp(perms(old), "rw-p") == 0);
	CHECK(strcmp(perms(new), "r-xp") == 0);
	test_passed();
}

/* What the kernel says in /proc, and what it would never say.  First byte: which file. */
#include "pieces.h"
#include "proc_try.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const parsers[])(const char *text, size_t len) = {
		try_maps, try_status, try_stat, try_fdinfo, try_mountinfo,
		try_timers, try_sched, try_syscall, try_auxv,
	};
	char *text;

	if (size < 1)
		return 0;
	/* With nothing behind it, so that a byte too much is noticed. */
	text = malloc(size);
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parsers[data[0] % ARRAY_SIZE(parsers)](text, size - 1);
	free(text);
	return 0;
}

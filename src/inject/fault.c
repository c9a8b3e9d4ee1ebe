#include "inject/fault.h"

#ifdef STASIS_FAULTS

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* No kernel has a call of this number: ENOSYS, and nothing was done. */
#define NO_CALL 0x7fff

static atomic_long seen;

static void tell(long count, long hit)
{
	const char *path = getenv("STASIS_FAULT_REPORT");
	FILE *f = path ? fopen(path, hit < 0 ? "w" : "a") : NULL;

	if (!f)
		return;
	fprintf(f, hit < 0 ? "calls=%ld\n" : "calls=%ld hit=%ld\n", count, hit);
	fclose(f);
}

static void wanted(long *number, long *error)
{
	const char *words = getenv("STASIS_FAULT");

	*number = *error = 0;
	if (words)
		sscanf(words, "%ld %ld", number, error);
}

/* These cannot fail of a child that is there, give up the number in any case, or do not come back. */
static bool may_fail(uint64_t nr)
{
	return nr != SYS_wait4 && nr != SYS_close && nr != SYS_exit && nr != SYS_exit_group;
}

void fault_entries(struct batch_entry *entries, size_t count)
{
	long number, error, first = atomic_fetch_add(&seen, (long)count);

	wanted(&number, &error);
	if (number <= first)
		return;
	tell(first + (long)count, -1);
	if (number > first + (long)count)
		return;
	entries += number - first - 1;
	if (!may_fail(entries->nr))
		return;
	tell(number, (long)entries->nr);
	entries->nr = NO_CALL;
}

void fault_results(struct batch_entry *entries, size_t count)
{
	long number, error;

	wanted(&number, &error);
	for (size_t i = 0; i < count; i++)
		if (entries[i].nr == NO_CALL && entries[i].ret == -ENOSYS)
			entries[i].ret = -error;
}

#endif

/* Each parser of /proc behind one face, for the tests that treat them all alike. */
#pragma once

#include <errno.h>
#include <stddef.h>

#include "proc/auxv.h"
#include "proc/fdinfo.h"
#include "proc/maps.h"
#include "proc/mountinfo.h"
#include "proc/sched.h"
#include "proc/stat.h"
#include "proc/status.h"
#include "proc/syscall.h"
#include "proc/timers.h"

static inline int try_maps(const char *text, size_t len)
{
	cleanup_maps struct vm_areas areas = {0};

	return maps_parse(text, len, &areas);
}

static inline int try_status(const char *text, size_t len)
{
	cleanup_status struct proc_status status = {0};

	return status_parse(text, len, &status);
}

static inline int try_stat(const char *text, size_t len)
{
	struct proc_stat stat;

	return stat_parse(text, len, &stat);
}

static inline int try_fdinfo(const char *text, size_t len)
{
	cleanup_fdinfo struct fdinfo info = {0};

	return fdinfo_parse(text, len, &info);
}

static inline int try_mountinfo(const char *text, size_t len)
{
	cleanup_mountinfo struct mount_table table = {0};

	return mountinfo_parse(text, len, &table);
}

static inline int try_timers(const char *text, size_t len)
{
	cleanup_timers struct posix_timers timers = {0};

	return timers_parse(text, len, &timers);
}

static inline int try_sched(const char *text, size_t len)
{
	struct proc_sched sched;
	int r = sched_parse(text, len, &sched);

	return r == -ENODATA ? 0 : r;
}

static inline int try_syscall(const char *text, size_t len)
{
	struct proc_syscall call;

	return syscall_parse(text, len, &call);
}

static inline int try_auxv(const char *text, size_t len)
{
	cleanup_auxv struct auxv auxv = {0};

	return auxv_parse(text, len, &auxv);
}

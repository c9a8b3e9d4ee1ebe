/*
 * How much memory there still is for a process: what the machine has available (MemAvailable,
 * proc(5)), and what the limits of its memory control groups leave, up to the one that we see the
 * top of.  What a group's files have in the page cache, and have not used lately, is counted as free.
 */
#pragma once

#include <stdint.h>

/* Bytes; UINT64_MAX: nothing is known.  proc: /proc/PID. */
uint64_t proc_spare_memory(int proc);

/* The path of the memory control group in the text of /proc/PID/cgroup: of v1 if it has one.  Allocated; NULL: none. */
char *cgroup_memory_path(const char *text, int *ret_version);

/* The number behind a name in lines of "NAME NUMBER" or "NAME: NUMBER kB".  -1: there is no such line. */
int64_t proc_number_of(const char *text, const char *name);

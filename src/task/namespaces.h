/* Which namespaces a process lives in: the numbers by which they are told apart. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum namespace {
	NAMESPACE_UTS,
	NAMESPACE_NET,
	NAMESPACE_CGROUP,
	NAMESPACE_TIME,
	NAMESPACE_IPC,
	NAMESPACE_MNT,
	NAMESPACE_USER,
	NAMESPACE_PID,
	NAMESPACES,
};

struct namespaces {
	uint64_t number[NAMESPACES]; /* 0: the kernel has but one of this sort, or does not tell */
};

/* proc: /proc/PID, as a directory. */
void namespaces_read(int proc, struct namespaces *ret);

/* "net" */
const char *namespace_name(enum namespace n);

/* Both are in the same, or it cannot be told. */
bool namespace_is_same(const struct namespaces *a, const struct namespaces *b, enum namespace n);

/* What the tests of System V IPC have in common. */
#pragma once

#include <sys/ipc.h>
#include <sys/random.h>

#include "check.h"

/* A key that nobody else has. */
static inline key_t test_key(void)
{
	static key_t key;

	while (key <= 0)
		CHECK(getrandom(&key, sizeof key, 0) == sizeof key);
	return key;
}

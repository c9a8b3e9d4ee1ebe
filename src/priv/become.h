/* Children that become somebody else, for experiments on what the kernel permits. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* What this process is permitted, as a mask of capabilities. */
uint64_t priv_permitted(void);

/*
 * In a child: from now on these ids, no other groups, and exactly these capabilities,
 * permitted and effective; dumpable, as a program that was started so.  With our own ids the
 * groups stay.  Does not allocate.  0 or -errno; after a failure the child can only end.
 */
int priv_become(uid_t uid, gid_t gid, uint64_t caps);

/* In a child: into a new user namespace, as its root, with everything permitted in there. */
int priv_become_own_root(void);

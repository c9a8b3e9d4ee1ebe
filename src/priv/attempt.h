/*
 * Trying something without its being noticed: in children that have no exit signal, have all
 * signals blocked, and are reaped.  What kills them (a seccomp filter) kills nobody else.
 * Other threads may hold any lock at this moment, so a job allocates nothing.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Who we are outside: in a new user namespace it cannot be asked any more. */
struct attempt_ids {
	uid_t uid;
	gid_t gid;
};

/* Waits for a child that has no exit signal; 0, or -errno as it told by its exit status. */
int attempt_reap(pid_t pid);

/* Runs job in a child made with these CLONE_ flags, and returns what it returns: 0 or -errno. */
int attempt_in_child(uint64_t flags, int (*job)(const struct attempt_ids *ids));

/* The same with an argument. */
int attempt_with(int (*job)(const void *arg), const void *arg);

/*
 * Makes a peer, which does prepare() (may be NULL), and then tries job on it in another child,
 * its sibling.  -errno of whichever failed.
 */
int attempt_on_peer(int (*prepare)(void), int (*job)(pid_t peer));

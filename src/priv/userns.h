/*
 * An own user, pid and mount namespace: the numbers a program had, without a
 * privilege on the host.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * For a child made with CLONE_NEWUSER (or 0: for the caller, who is in one): uid and gid, which
 * must be the effective ones of the maker, mean in there what they mean outside; no other is
 * known there, and the supplementary groups cannot be changed.
 */
int priv_enter_userns_maps(pid_t child, uid_t uid, gid_t gid, struct error **err);

/* Such a namespace, made by us, has this user and this group. */
bool priv_userns_knows(uid_t uid, gid_t gid);

/*
 * In the first process of an own user, pid and mount namespace: /proc shows these processes.
 * EPERM where the visible /proc is partly covered, as in many containers.
 */
int priv_mount_private_proc(struct error **err);

/*
 * Runs job(arg) in the user and IPC namespaces of the process behind pidfd, which must be
 * those of a user namespace that our own user made; -1: in ours.  Elsewhere it is a child that
 * runs it: what job leaves for us is in memory of priv_shared(), or a descriptor, as the
 * table of these is shared.  It must not allocate.  Returns what job returns (0 or -errno).
 */
int priv_within(int pidfd, int (*job)(void *arg), void *arg);

/* Zeroed memory that such a child shares with us, or NULL. */
void *priv_shared(size_t size);
void priv_unshare(void *memory, size_t size);

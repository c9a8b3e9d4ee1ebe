/*
 * An own user, pid and mount namespace: the numbers a program had, without a
 * privilege on the host.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/*
 * For a child made with CLONE_NEWUSER (or 0: for the caller, who is in one): uid and gid, which
 * must be the effective ones of the maker, mean in there what they mean outside; no other is
 * known there, and the supplementary groups cannot be changed.
 */
int priv_enter_userns_maps(pid_t child, uid_t uid, gid_t gid, struct error **err);

/*
 * In the first process of an own user, pid and mount namespace: /proc shows these processes.
 * EPERM where the visible /proc is partly covered, as in many containers.
 */
int priv_mount_private_proc(struct error **err);

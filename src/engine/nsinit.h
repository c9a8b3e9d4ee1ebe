/*
 * The first process of a private user, pid and mount namespace.  It makes the
 * restored process with its old number, waits for all that live there,
 * and ends when the restored one ends.  It is a copy of the tool that keeps nothing:
 * no descriptor but its socket, no capability once its work is done.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/*
 * Starts it.  In the namespace a child with *number (NULL: any) calls run(arg), which
 * does not return.  Returns
 * the host's number of the init, whose socket reports the wait status
 * of the child (4 bytes), or -errno.
 */
pid_t nsinit_start(const pid_t *number, void (*run)(const void *arg), const void *arg,
		   pid_t *ret_init, int *ret_socket, struct error **err);

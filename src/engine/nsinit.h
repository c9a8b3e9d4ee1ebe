/*
 * The first process of a private user, pid and mount namespace.  It makes the
 * restored process with its old number, waits for all that live there,
 * and ends when the restored one ends.  It is a copy of the tool that keeps nothing:
 * no descriptor but its socket, no capability once its work is done.
 *
 * It comes early: the program's files are opened in its mount namespace, where the program
 * will be.  (Between a descriptor of another one and a path, linkat(2) and renameat(2)
 * cross devices: EXDEV.)  That the process inherits what is opened later, the init shares
 * its table of descriptors with the tool until it has made the process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* What becomes of the root process. */
struct nsinit_report {
	int status;  /* as of waitpid(2) */
	bool others; /* it has ended, and others in the namespace go on: the init stays with them */
};

struct nsinit {
	pid_t pid;  /* as the tool sees it; 0: there is none */
	int socket; /* to it; later it sends a struct nsinit_report for each change of the root */
	int pidfd;  /* of it */
	int far;    /* while the table is shared: its end of the socket */
	int tool;   /* ... and a pidfd of the tool */
};
#define NSINIT_NONE ((struct nsinit){.socket = -1, .pidfd = -1, .far = -1, .tool = -1})

/*
 * Starts it.  The process that it makes later calls run(), which does not return and
 * must not allocate: the tool may have threads.  private_ipc: in an IPC namespace of its own, too.
 */
int nsinit_start(void (*run)(int socket, int peer), bool private_ipc, struct nsinit *ret,
		 struct error **err);

/* The root directory of its mount namespace (O_PATH). */
int nsinit_root(const struct nsinit *n, struct error **err);

/*
 * A process in the namespace, with that number (0: any), which has a copy of our descriptors and
 * calls run(socket, peer).  From now on the init has a table of its own, and ends
 * with the tool until one byte through the socket tells it to go on alone.
 */
int nsinit_newborn(struct nsinit *n, pid_t number, int socket, int peer, struct error **err);

/*
 * The same for a process that came into the namespace from outside, and is the child of another:
 * that one waits for it.  The init sees to its orphans, and reports once when it has ended.
 */
int nsinit_adopt(struct nsinit *n, pid_t number, struct error **err);

/* Ends it, and all in its namespace. */
void nsinit_end(struct nsinit *n);
/* Closes what leads to it. */
void nsinit_free(struct nsinit *n);

/* What a restore gives back to whoever asked for it. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "task/rebuild.h"

/* A running restored program. */
struct revived {
	pid_t pid;         /* the root process, as the tool sees it */
	pid_t parent;      /* not 0: the init of its private namespace */
	int parent_socket; /* that reports the wait status of the root; -1: there is none */
	bool ours;         /* the root is our own child, all the same */
	int report;        /* why it had to be ended, if its memory was lost; -1: it is all there */
};

/* image: a path, "-": standard input. */
int engine_restore(const char *image, const struct restore_options *o, struct revived *ret,
		   struct error **err);

/* count of them, all or none; image is a file. */
int engine_restore_copies(const char *image, const struct restore_options *o, size_t count,
			  struct revived *ret, struct error **err);

/* Waits for the end of the root, or until it is stopped where stops is true: its wait status. */
int revived_wait(struct revived *p, bool stops, int *ret_status, struct error **err);
void revived_free(struct revived *p);
